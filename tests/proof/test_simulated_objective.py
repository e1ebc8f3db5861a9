# SPDX-License-Identifier: GPL-2.0-or-later
"""How a simulated workload is judged: objectives are read, and no failure raises a score."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.objective import parse_objective as measured
from process import Fault
from simulator.run import GroupFigures, Lengths
from simulator.simulated_objective import (
    MEASURES,
    Scored,
    SimulatedObjective,
    SimulatedTerm,
    guarded,
    joint,
    parse_simulated_objective,
    percent,
    scored,
    usual_objective,
)

MS = 1_000_000
S = 1_000_000_000
SECONDS = (10.0, 10.0)


def _lengths(all_ns: list[int], still_open: int = 0) -> Lengths | None:
    if not all_ns:
        return None
    ordered = sorted(all_ns)

    def at(percentile: float) -> int:
        return ordered[max(0, -int(-len(ordered) * percentile // 100) - 1)]

    return Lengths(
        count=len(ordered), open=still_open, mean=sum(ordered) // len(ordered), p50=at(50),
        p75=at(75), p90=at(90), p95=at(95), p99=at(99), p99_9=at(99.9), max=ordered[-1],
    )  # fmt: skip


def _group(
    ended: list[int], still: list[int], *, finished: int = 0, tasks: int = 9
) -> GroupFigures:
    """A group with these response times, for activations that ended and those that did not."""
    return GroupFigures(
        name="g", tasks=tasks, finished=finished, cycles=len(ended), run_ns=S, wakeups=len(ended),
        delay_p50_ns=0, delay_p99_ns=0, delay_max_ns=0, longest_wait_ns=0, switches=1,
        migrations=0, makespan_ns=None, mean_completion_ns=None, fairness=1.0,
        completions=len(ended), response_ns=_lengths([*ended, *still], len(still)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("response p99", "response p99"),
        ("response p99 < 20ms", "response p99"),
        ("latency p99 < 5ms", "delay p99"),
        ("throughput", "completions"),
        ("completions higher", "completions"),
        ("completions > 100/s", "completions"),
        ("turnaround mean lower", "turnaround mean"),
        ("makespan < 20 s", "makespan"),
        ("cpu > 150%", "cpu"),
        ("response p99.9; completions not worse than 5%", None),
    ],
)
def test_an_objective_is_read_as_the_daemon_reads_it(text: str, title: str | None) -> None:
    """Words, limits and guards are read in any spelling, including the daemon's canonical one."""
    found = parse_simulated_objective(text)
    assert found.title == (title or text)
    assert parse_simulated_objective(measured(text).canonical).title == found.title
    assert not found.notes


@pytest.mark.parametrize(
    "text",
    ["", ";", "resposne p99", "response", "completions p50", "response p99 higher", "cpu lower",
     "response p99 not worse", "completions not worse than 100%", "response p99 p50"],
)  # fmt: skip
def test_what_is_no_objective_is_refused(text: str) -> None:
    """The message says what was expected, here as in the daemon."""
    for read in (parse_simulated_objective, measured):
        with pytest.raises(Fault) as fault:
            read(text)
        assert fault.value.hint


def test_what_no_simulation_has_is_noted() -> None:
    """A number of the application's own is noted, and so is a percentile that the simulator does
    not keep."""
    found = parse_simulated_objective("measurement rps higher; response p97")
    assert found.title == "response p95"
    assert len(found.notes) == 2


def test_each_kind_has_its_objective() -> None:
    """Tasks that sleep have to answer, tasks that never sleep have to compute, and others have to
    end."""
    assert usual_objective(_group([MS], [])).title == "response p95; completions"
    assert usual_objective(_group([], [S])).title == "cpu"
    jobs = _group([MS], []).model_copy(update={"turnaround_ns": _lengths([MS] * 9)})
    assert usual_objective(jobs).title == "turnaround mean"


def test_response_alone_has_completions_beside_it() -> None:
    """It also keeps its own guard."""
    assert guarded(parse_simulated_objective("response p99")).title == (
        "response p99; completions not worse than 2%"
    )
    own = "response p99; completions not worse than 50%"
    assert guarded(parse_simulated_objective(own)).title == own


_TIMES = st.floats(0.01, 100)
_TERMS = st.lists(
    st.tuples(st.sampled_from(sorted(MEASURES)), st.none() | st.floats(0.01, 0.9), _TIMES),
    min_size=1,
    max_size=5,
)


def _scored(terms: list[tuple[str, float | None, float]]) -> list[Scored]:
    found = []
    for key, guard, times in terms:
        measure = MEASURES[key]
        pair = (times, 1.0) if measure.more else (1.0, times)
        found.append(Scored(SimulatedTerm(measure, guard), *pair))
    return found


@given(_TERMS, st.integers(0, 4), st.floats(0.01, 1))
def test_what_becomes_worse_never_raises_the_score(
    terms: list[tuple[str, float | None, float]], which: int, worse: float
) -> None:
    """Whatever the terms are: if one of them gets worse, the score does not rise."""
    before = joint(_scored(terms))
    at = which % len(terms)
    key, guard, times = terms[at]
    after = joint(_scored([*terms[:at], (key, guard, times * worse), *terms[at + 1 :]]))
    if before is None:
        assert after is None or after < 1
    else:
        assert after is not None
        assert after <= before * (1 + 1e-9)


@given(
    st.lists(st.integers(MS, 50 * MS), min_size=20, max_size=200),
    st.data(),
    st.sampled_from(["response p50", "response p99", "response mean", "response p95; completions"]),
)
def test_starving_tasks_is_no_gain(responses: list[int], data: st.DataObject, text: str) -> None:
    """Tasks that never run again take their activations with them, the long ones first. However
    fast the others answer, it is a loss."""
    lost = data.draw(st.integers(len(responses) // 20 + 1, len(responses) - 1))
    usual = _group(responses, [])
    starved = _group(sorted(responses)[: len(responses) - lost], [9 * S])
    objective = guarded(parse_simulated_objective(text))
    times = joint(scored(objective, starved, usual, SECONDS))
    assert times is not None
    assert times < 1


@given(st.lists(st.integers(MS, 50 * MS), min_size=1, max_size=50), st.integers(1, 9 * S))
def test_an_activation_that_does_not_end_never_helps(responses: list[int], had: int) -> None:
    """If the longest activation never ends, nothing gets better."""
    ordered = sorted(responses)
    usual = _group(ordered, [])
    stuck = _group(ordered[:-1], [ordered[-1] + had])
    for key in MEASURES:
        if key.startswith("response") or key == "completions":
            objective = SimulatedObjective((SimulatedTerm(MEASURES[key]),))
            times = joint(scored(objective, stuck, usual, SECONDS))
            assert times is None or times <= 1


def test_a_gain_is_a_part_of_the_larger() -> None:
    """Twice as good and half as good are reported as for a time."""
    assert percent(2.0) == 50
    assert percent(0.5) == -100
    assert percent(1.0) == 0


def test_a_batch_that_did_not_end_has_taken_all_of_the_time() -> None:
    """Its makespan is at least the simulated time, so this is no way around the objective."""
    done = _group([MS], []).model_copy(
        update={"makespan_ns": 2 * S, "turnaround_ns": _lengths([2 * S])}
    )
    stuck = _group([MS], []).model_copy(update={"turnaround_ns": _lengths([10 * S], 1)})
    (found,) = scored(parse_simulated_objective("makespan"), stuck, done, SECONDS)
    assert (found.ours, found.theirs) == (10.0, 2.0)
