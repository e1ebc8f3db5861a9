# SPDX-License-Identifier: GPL-2.0-or-later
"""How a trial is reported: what changed and what did not, as ranges, and no noise as a figure."""

import pytest

from daemon.api import telling
from daemon.api.models import (
    Arm,
    ComparedView,
    Decision,
    Direction,
    GuardView,
    OutcomeView,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
)

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER


def verdict(low: float, high: float, **others: object) -> VerdictView:
    ratio = (low + high) / 2
    given = {
        "decision": Decision.ROLLBACK,
        "ratio": ratio,
        "low": low,
        "high": high,
        "confidence": 0.95,
        "gain": 1 - ratio,
        "reason": "as measured",
        "windows_baseline": 4,
        "windows_candidate": 4,
        **others,
    }
    return VerdictView.model_validate(given)


def trial(**others: object) -> TrialView:
    given = {
        "id": "t-0001",
        "state": TrialState.ROLLED_BACK,
        "candidate": "c-0001",
        "scheduler": "policy-0a1b2c3d",
        "policy": "order fifo; slice 1500us",
        "workload": "comm:schbench",
        "objective": "response p99",
        "direction": LOWER,
        "unit": "us",
        "at": 1.0,
        **others,
    }
    return TrialView.model_validate(given)


def windows(before: list[float], after: list[float], stay_us: float = 0.0) -> list[WindowView]:
    arms = [(Arm.BASELINE, each) for each in before] + [(Arm.CANDIDATE, each) for each in after]
    return [
        WindowView(arm=arm, started=0, ended=1, value=value, stay_us=stay_us) for arm, value in arms
    ]


@pytest.mark.parametrize(
    ("low", "high", "direction", "said"),
    [
        (1.09, 1.51, LOWER, "9% to 51% worse"),
        (0.49, 0.91, HIGHER, "9% to 51% worse"),
        (0.30, 0.37, LOWER, "63% to 70% better"),
        (2.0, 2.2, HIGHER, "2 to 2.2 times as much, better"),
        (4.6, 4.6, LOWER, "4.6 times as much, worse"),
        (0.89, 1.04, LOWER, "between 4% worse and 11% better"),
        (0.89, 1.04, HIGHER, "between 11% worse and 4% better"),
    ],
)
def test_a_change_is_said_by_what_it_means(
    low: float, high: float, direction: Direction, said: str
) -> None:
    """Worse or better is in whole per cent without a sign, or in times if that is clearer."""
    assert telling.change(low, high, direction) == said


def test_ranges_have_one_unit() -> None:
    """Both ends of a range use the scale of the larger one."""
    assert telling.between(1_200, 187_000, "us") == "1.2–187 ms"
    assert telling.between(41.0, 43.25, "1/s") == "41–43.25 /s"
    assert telling.between(5.0, 5.0, "us") == "5 µs"


def test_two_spikes_are_no_figure() -> None:
    """If the windows' ranges overlap, the text has the ranges and says that it is unclear, whatever
    the interval is."""
    view = ComparedView(
        name="others' response p99",
        unit="us",
        baseline=(1_200, 187_000),
        candidate=(8_400, 11_000),
        ratio=0.36,
        low=0.2,
        high=0.6,
        state="better",
    )
    said = telling.compared(view)
    assert said == "others' response p99: 1.2–187 ms before, 8.4–11 ms after: unclear"
    assert not telling.moved(view)


@pytest.mark.parametrize(
    ("state", "candidate", "ratio", "said"),
    [
        ("worse", (12_000.0, 15_000.0), (1.09, 1.51), "9% to 51% worse"),
        ("better", (5_000.0, 6_000.0), (0.5, 0.6), "40% to 50% better"),
    ],
)
def test_what_moved_has_its_interval(
    state: str, candidate: tuple[float, float], ratio: tuple[float, float], said: str
) -> None:
    """The text has the least and the greatest change, beside the windows' ranges."""
    view = ComparedView.model_validate(
        {
            "name": "response p50",
            "unit": "us",
            "baseline": (9_000.0, 10_000.0),
            "candidate": candidate,
            "ratio": sum(ratio) / 2,
            "low": ratio[0],
            "high": ratio[1],
            "state": state,
        }
    )
    assert telling.compared(view).endswith(f"after: {said}")


def test_a_trial_that_was_stopped_has_no_figure() -> None:
    """Without an interval nothing was compared: no ratio of one window and none."""
    early = verdict(1.0, 1.0, confidence=0.0, early=True, windows_baseline=1, windows_candidate=0)
    assert telling.outcome(early, LOWER) == "stopped early, nothing compared"
    told = "\n".join(telling.account(trial(verdict=early)))
    assert "stopped early, nothing compared" in told
    assert "%" not in told
    assert "1+0" not in told


def test_an_interval_with_no_change_in_it_is_unclear() -> None:
    """A range from worse to better says that nothing was shown."""
    said = telling.outcome(verdict(0.89, 1.04), LOWER)
    assert said == "between 4% worse and 11% better, unclear (95%, 4+4 windows)"


def test_the_slice_that_was_got_stands_beside_the_one_asked_for() -> None:
    """The text names the tick if it made the difference."""
    view = trial(windows=windows([9.0], [9.0], stay_us=4_000.0))
    said = telling.slices(view, tick_us=4_000)
    assert said == (
        "asked for 1500us; a stay on a CPU lasted 4 ms before, 4 ms after; "
        "slices end at ticks, each 4 ms"
    )
    whole = trial(policy="order fifo; slice 100ms", windows=view.windows)
    assert "tick" not in telling.slices(whole, tick_us=4_000)
    assert telling.slices(trial(policy="")) == ""


def test_a_slice_may_be_a_setting() -> None:
    """This holds for a scheduler of the library."""
    view = trial(policy="", parameters={"slice_us": 500, "weight": 3})
    assert telling.slices(view, 4_000) == "asked for slice_us=500; slices end at ticks, each 4 ms"


def test_an_account_has_the_guards_by_name() -> None:
    """Broken guards come first, and what changed is apart from what did not."""
    guards = [
        GuardView(
            workload="comm:backup",
            text="completions not worse than 20%",
            unit="1/s",
            baseline=12.0,
            candidate=11.5,
            state="held",
        ),
        GuardView(workload="comm:sshd", text="response p99 not worse than 50%", state="broken"),
    ]
    rest = ComparedView(
        name="completions",
        unit="1/s",
        baseline=(41, 43),
        candidate=(86, 91),
        ratio=2.1,
        low=2.0,
        high=2.2,
        state="better",
    )
    lost = ComparedView(name="others' CPU time", unit="%")
    own = rest.model_copy(update={"name": "response p99"})
    found = verdict(0.3, 0.37, compared=[own, rest, lost])
    told = telling.account(
        trial(verdict=found, guards=guards, windows=windows([200e3, 192e3], [62e3, 70e3]))
    )
    assert told[0] == "Trial t-0001 of policy-0a1b2c3d (order fifo; slice 1500us): rolled back."
    assert told[1] == (
        "Judged by response p99: 192–200 ms before, 62–70 ms after: "
        "63% to 70% better (95%, 4+4 windows)."
    )
    assert told[3] == (
        "Moved: completions: 41–43 /s before, 86–91 /s after: 2 to 2.2 times as much, better."
    )
    assert told[4] == (
        "Not moved, as far as can be told: others' CPU time: too little was seen to compare."
    )
    assert told[5] == (
        "Guards: comm:sshd response p99 not worse than 50%: broken; comm:backup completions not "
        "worse than 20%: held (12 /s before, 11.5 /s after)."
    )


def test_however_much_there_is_it_stays_short() -> None:
    """At most 400 tokens: broken guards come first, and the text counts what has no room."""
    guards = [
        GuardView(
            workload=f"cgroup:/system.slice/{'a-long-name-' * 6}{number}.service",
            text="completions not worse than 20%",
            unit="1/s",
            baseline=12.0,
            candidate=11.5,
            state="broken" if number == 11 else "held",
        )
        for number in range(16)
    ]
    compared = [
        ComparedView(
            name=f"measurement number_{number}_of_many",
            unit="ms",
            baseline=(number, number + 5),
            candidate=(number + 1, number + 7),
            ratio=1.1,
            low=0.9,
            high=1.3,
            state="unclear",
        )
        for number in range(12)
    ]
    found = verdict(0.9, 1.1, compared=compared, reason="so many words " * 40)
    view = trial(policy='comm = "x" { slice 3ms }; ' * 40, verdict=found, guards=guards)
    told = "\n".join(telling.account(view, 4_000))
    assert len(told.encode()) <= telling.MOST_BYTES
    assert "11.service" in told or "broken" in told
    assert " more" in told


def test_what_is_the_same_is_said_to_be_the_same() -> None:
    """The text expresses no doubt if there is none."""
    view = ComparedView(name="x", unit="%", baseline=(300, 300), candidate=(300, 300.01))
    assert telling.compared(view.model_copy(update={"state": "unclear"})).endswith("the same")


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((0.1, 0.2), "10% to 20% better"),
        ((-0.1, 0.2), "between 10% worse and 20% better"),
        ((-0.64, -0.64), "not compared"),
        ((None, None), "64% worse"),
    ],
)
def test_an_earlier_outcome_has_its_bounds(
    bounds: tuple[float | None, float | None], said: str
) -> None:
    """A gain alone may be noise; a gain without bounds comes from a daemon that gave none."""
    view = OutcomeView(
        scheduler="latency",
        tags=[],
        decision=Decision.ROLLBACK,
        gain=-0.64,
        at=1.0,
        low=bounds[0],
        high=bounds[1],
    )
    assert telling.outcome_gain(view) == said


@pytest.mark.parametrize(("confidence", "said"), [(0.95, "95%"), (0.99, "99%"), (0.995, "99.5%")])
def test_a_confidence_is_never_told_as_more_than_it_is(confidence: float, said: str) -> None:
    """Two figures that share the error of an early look have 99.5%, which is not 100."""
    assert telling.sure(confidence) == said
