# SPDX-License-Identifier: GPL-2.0-or-later
"""Response time and completions of a stretch, including what is unfinished at its end."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.decide.objective import parse_objective
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.values import Value, value_of
from tests.decide.synthetic import (
    BATCH,
    SERVICE,
    START,
    histogram,
    interval,
    seeded,
    serving,
    workload,
)

P99 = parse_objective("response p99")
P50 = parse_objective("response p50")
MEAN = parse_objective("response mean")
COMPLETIONS = parse_objective("completions")


def found(text: str, *seen: Observation, since: float = START) -> Value:
    value = value_of(parse_objective(text), SERVICE, list(seen), since=since)
    assert value is not None
    return value


def test_response_time_is_of_the_activations_that_ended() -> None:
    """A percentile of the merged histograms, and the mean by its sums."""
    dice = seeded(1)
    seen = [interval(n, serving(dice, response_us=20_000, ended=200)) for n in range(4)]
    assert found("response p50", *seen).value == pytest.approx(20_000, rel=0.15)
    assert found("response mean", *seen).value == pytest.approx(20_400, rel=0.15)
    assert found("response p99", *seen).samples == 800
    assert found("completions", *seen).value == pytest.approx(40)


def test_a_request_that_is_not_over_counts_with_what_it_has_had() -> None:
    """The few that still wait are the slowest."""
    dice = seeded(1)
    stuck = [3_000_000.0] * 4
    seen = [
        interval(0, serving(dice, response_us=20_000, ended=100)),
        interval(1, serving(dice, response_us=20_000, ended=100, open_us=stuck)),
    ]
    assert found("response p99", *seen).value > 2_000_000
    # What is under way in the middle is counted when it ends.
    assert found("response p99", *reversed(seen)).value < 100_000


def test_a_thread_that_never_sleeps_has_the_figure_of_the_whole_stretch() -> None:
    """It neither vanishes nor counts with what it did before."""
    part = replace(workload(seeded(1)), open_hist=histogram([3600e6]))
    value = found("response p99", interval(0, part), interval(1, part))
    assert value.value == pytest.approx(10e6, rel=0.1)
    assert value.samples == 0


def test_what_was_waited_under_another_scheduler_does_not_count() -> None:
    """An activation that ended soon after the beginning of the stretch counts at most with that
    time."""
    long = replace(
        serving(seeded(1), response_us=1, ended=0),
        response_count=1,
        response_hist=histogram([60e6]),
        response_max_us=60e6,
        response_mean_us=60e6,
    )
    assert found("response p99", interval(0, long)).value == pytest.approx(5e6, rel=0.1)
    assert found("response mean", interval(0, long)).value == pytest.approx(5e6, rel=0.15)
    assert found("response p99", interval(0, long), since=START - 100).value > 50e6


def test_without_response_times_the_delay_stands_in_and_is_named() -> None:
    """Signals of an older program are judged as before, and the words say so."""
    seen = interval(0, workload(seeded(1), p99_us=5000))
    value = found("response p99", seen)
    assert value.stand_in == "run-queue delay p99"
    assert value.value == found("delay p99", seen).value
    assert found("completions", seen).stand_in == "completed sleeps"


def test_turnaround_counts_jobs_that_are_not_over() -> None:
    """As response time does."""
    part = replace(
        workload(seeded(1)),
        turnaround_count=40,
        turnaround_mean_us=1e6,
        turnaround_hist=histogram([1e6] * 40),
    )
    fine = found("turnaround mean", interval(0, part))
    assert fine.samples == 40
    assert fine.value == pytest.approx(1e6)
    hung = replace(part, open_jobs_hist=histogram([4.5e6] * 20))
    assert found("turnaround mean", interval(0, hung)).value == pytest.approx(2.2e6, rel=0.1)
    assert found("turnaround p99", interval(0, hung)).value > 4e6


def test_a_glob_is_all_that_match() -> None:
    """As a guard names several workloads at once."""
    dice = seeded(1)
    seen = [interval(0, serving(dice, response_us=1000, ended=50), workload(dice, BATCH))]
    value = value_of(COMPLETIONS, "cgroup:/system.slice/shop*", seen)
    assert value is not None
    assert value.value == pytest.approx(10)


# ---------------------------------------------------------------- for any work


def observed(activations: list[tuple[float, float]], ends: list[float]) -> list[Observation]:
    """The signals of one workload. Its activations begin at these times and last this long, in
    seconds from `START`; those that are not over at the end of an interval are open there."""
    seen = []
    began = 0.0
    for end in ends:
        over = [s for at, s in activations if began < at + s <= end]
        still = [end - at for at, s in activations if at <= end < at + s]
        part = WorkloadObservation(
            id=SERVICE,
            response_count=len(over),
            response_mean_us=1e6 * sum(over) / len(over) if over else 0.0,
            response_max_us=1e6 * max(over, default=0.0),
            response_hist=histogram(1e6 * s for s in over),
            open_hist=histogram(1e6 * s for s in still),
        )
        seen.append(Observation(START + end, end - began, {SERVICE: part}))
        began = end
    return seen


WORK = st.lists(st.tuples(st.floats(0.0, 9.9), st.floats(0.001, 5.0)), min_size=1, max_size=40)


@given(WORK, st.lists(st.floats(0.0, 8.0), min_size=40, max_size=40))
@settings(deadline=None, max_examples=200)
def test_response_time_never_falls_when_work_is_delayed(
    work: list[tuple[float, float]], delays: list[float]
) -> None:
    """A longer wait makes no percentile shorter, within one bucket."""
    later = [(at, s + more) for (at, s), more in zip(work, delays, strict=False)]
    before, after = (observed(each, [2.5, 5.0, 7.5, 10.0]) for each in (work, later))
    for objective in (P50, P99, MEAN):
        one = value_of(objective, SERVICE, before, since=START)
        two = value_of(objective, SERVICE, after, since=START)
        assert one is not None
        assert two is not None
        assert two.value >= one.value * 0.75


@given(WORK, st.integers(2, 10))
@settings(deadline=None, max_examples=100)
def test_completions_do_not_rise_by_splitting_waits(
    work: list[tuple[float, float]], parts: int
) -> None:
    """However many intervals, and however often a task is made to leave, the number is the same."""
    whole = observed(work, [10.0])
    split = [
        Observation(
            each.at,
            each.interval_s,
            {
                SERVICE: replace(
                    each.workloads[SERVICE], involuntary_per_s=1000.0, delay_count=5000 * parts
                )
            },
        )
        for each in observed(work, [10.0 * (n + 1) / parts for n in range(parts)])
    ]
    one, two = (value_of(COMPLETIONS, SERVICE, each) for each in (whole, split))
    assert one is not None
    assert two is not None
    assert one.samples == two.samples
    assert one.value == pytest.approx(two.value)
