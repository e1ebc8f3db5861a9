# SPDX-License-Identifier: GPL-2.0-or-later
"""How agreement with the real kernel is measured: the statistics are correct, and both sides
perform the same scenario."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.agreement import report
from benchmarks.agreement.plan import DEFAULT, KernelRun, turns
from benchmarks.agreement.report import BEGIN, END, MetricComparison, comparisons, publish
from benchmarks.agreement.statistics import Pairs, compare, gain, gain_errors, order, summary
from benchmarks.agreement.workloads import FRONT, WORKLOADS
from simulator.run import GroupFigures, SimulationFigures
from simulator.scenario import Repeat, SimulatedMachine


def _values(*ranks: float) -> dict[str, list[float]]:
    """One scheduler for each value, a hundred apart, without noise."""
    return {f"s{number}": [100.0 * rank] for number, rank in enumerate(ranks)}


def test_tau_is_that_of_the_textbook() -> None:
    """Ranks 1 2 3 4 5 against 3 4 1 2 5 have 6 pairs in the same order and 4 in the other: 0.2."""
    assert compare(_values(1, 2, 3, 4, 5), _values(3, 4, 1, 2, 5)).tau == pytest.approx(0.2)


def test_ties_count_as_in_tau_b() -> None:
    """12 2 2 4 against 1 3 4 2, worked out by hand: -5 over the root of 5 times 6."""
    found = compare(_values(12, 2, 2, 4), _values(1, 3, 4, 2))
    assert found == Pairs(same=0, opposite=5, tied_real=1)
    assert found.tau == pytest.approx(-5 / math.sqrt(5 * 6))


def test_what_overlaps_or_is_near_is_no_difference() -> None:
    """Neither noise nor a difference of four percent puts one scheduler before another."""
    assert order([1.0, 3.0], [2.0, 9.0]) == 0
    assert order([100.0], [104.0]) == 0
    assert order([100.0], [106.0]) == -1
    assert order([9.0, 9.5], [2.0, 3.0]) == 1


def test_no_difference_on_one_side_is_no_agreement() -> None:
    """If all schedulers tie on the real kernel, there is nothing to agree with."""
    assert compare(_values(1, 1, 1), _values(1, 2, 3)).tau is None


_SOME = st.lists(st.integers(1, 20), min_size=2, max_size=8)


@given(_SOME)
def test_whoever_predicts_the_truth_agrees(ranks: list[int]) -> None:
    """The same values on both sides are perfect agreement, ties and all."""
    found = compare(_values(*ranks), _values(*ranks)).tau
    assert found is None or found == pytest.approx(1.0)


@given(_SOME, _SOME)
def test_tau_is_symmetrical_and_bounded(real: list[int], predicted: list[int]) -> None:
    """Exchanging the two sides gives the same result."""
    one = compare(_values(*real), _values(*predicted)).tau
    other = compare(_values(*predicted), _values(*real)).tau
    assert one == other
    assert one is None or -1 - 1e-9 <= one <= 1 + 1e-9


def test_twice_as_good_is_as_far_as_half_as_good() -> None:
    """A gain is in percent of the larger value."""
    assert gain([10.0], [5.0]) == 50
    assert gain([5.0], [10.0]) == -50
    assert gain([0.0], [0.0]) == 0


def test_the_error_of_a_gain_is_in_points() -> None:
    """A prediction of one half for a real quarter is 25 points wrong, which is not within 15."""
    real, predicted = {DEFAULT: [8.0], "fifo": [2.0]}, {DEFAULT: [4.0], "fifo": [2.0]}
    errors = gain_errors(real, predicted, DEFAULT)
    assert errors == {"fifo": 25.0}
    assert summary(errors.values()).within == 0


def test_every_scheduler_comes_early_and_late() -> None:
    """The order cancels a drift of the machine."""
    assert turns(["a", "b"], 3) == [["a", "b"], ["b", "a"], ["a", "b"]]


@pytest.mark.parametrize("name", WORKLOADS)
def test_what_is_looked_at_ends_by_itself(name: str) -> None:
    """Every workload ends, or there would be no makespan to compare."""
    front = [each for each in WORKLOADS[name](SimulatedMachine(2)).tasks if each.group == FRONT]
    assert front
    assert all(each.steps[-1] != Repeat() for each in front)


# ------------------------------------------------------------------ the page


def _figures(delay: int, makespan: int) -> SimulationFigures:
    group = GroupFigures.model_construct(
        name=FRONT, delay_p99_ns=delay, makespan_ns=makespan, finished=1, tasks=1
    )
    return SimulationFigures.model_construct(time_ns=9, groups=(group,))


def _compared() -> list[MetricComparison]:
    real = {DEFAULT: 10, "fifo": 30, "fair": 20}
    predicted = {DEFAULT: 11, "fifo": 33, "fair": 18}
    groups = {
        name: [{"name": FRONT, "delay_p99_ns": ms, "makespan_ns": ms}] for name, ms in real.items()
    }
    runs = [KernelRun(name, "service", 0, 99, groups[name]) for name in real]
    return comparisons(
        runs, {(name, "service", 0): _figures(ms, ms) for name, ms in predicted.items()}
    )


def test_a_run_that_did_not_end_counts_with_all_of_its_time() -> None:
    """Starving the workload is not left out of the comparison."""
    group = {"name": FRONT, "delay_p99_ns": 5, "makespan_ns": None}
    found = comparisons(
        [KernelRun(DEFAULT, "service", 0, 99, [group])], {(DEFAULT, "service", 0): _figures(5, 7)}
    )
    assert found[1].real == {DEFAULT: [99]}
    assert found[1].predicted == {DEFAULT: [7]}


def test_the_page_gets_tables_and_keeps_its_prose(tmp_path: Path) -> None:
    """The text around the measured part stays, and a second run gives the same files."""
    pytest.importorskip("matplotlib")
    page = tmp_path / "agreement.md"
    page.write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", "utf-8")
    said = publish(tmp_path, _compared(), "Measured today.")
    once = page.read_text("utf-8"), (tmp_path / "agreement.svg").read_bytes()
    publish(tmp_path, _compared(), "Measured today.")
    assert once == (page.read_text("utf-8"), (tmp_path / "agreement.svg").read_bytes())
    assert once[0].startswith("Before.")
    assert once[0].endswith("After.\n")
    assert "old" not in once[0]
    assert "Kendall's tau 1.00" in said
    assert said in once[0]


def test_missed_goals_are_called_missed() -> None:
    """One gain is more than 15 points off, and the line says so."""
    (each,) = (each for each in _compared() if each.metric == "makespan_ns")
    wrong = MetricComparison(
        each.metric, each.workload, each.real, {**each.predicted, "fair": [60.0]}
    )
    line = report.verdicts(
        [wrong, MetricComparison("delay_p99_ns", "service", each.real, each.real)]
    )[1]
    assert line.count("**missed**") == 2
