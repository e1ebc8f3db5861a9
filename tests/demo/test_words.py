# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's transcript is short: related events share a line."""

from daemon.api.models import (
    Arm,
    Direction,
    Event,
    EventKind,
    TrialState,
    TrialView,
    WindowView,
)
from demo.words import EventLines, values


def event(kind: EventKind, message: str = "", trial: str = "") -> Event:
    return Event(
        seq=1,
        at=1.0,
        kind=kind,
        message=message,
        candidate="c-1",
        scheduler="latency",
        trial=trial,
    )


def window(arm: Arm, value: float, excluded: str = "") -> WindowView:
    return WindowView(arm=arm, started=0, ended=6, value=value, excluded=excluded)


def trial(*windows: WindowView) -> TrialView:
    return TrialView(
        id="t-1",
        state=TrialState.RUNNING,
        candidate="c-1",
        scheduler="latency",
        workload="comm:redis-server",
        objective="redis-p99",
        direction=Direction.LOWER,
        unit="ms",
        at=1.0,
        windows=list(windows),
    )


ABBA = (
    window(Arm.BASELINE, 81.04),
    window(Arm.CANDIDATE, 9.5),
    window(Arm.CANDIDATE, 0, "the host took 40%"),
    window(Arm.BASELINE, 92.0),
)


def test_gates_that_were_passed_are_one_line_when_the_trial_begins() -> None:
    """There is no line for each gate."""
    telling = EventLines()
    for gate in ("static", "build", "verify"):
        passed = event(EventKind.GATE_PASSED, f"latency: {gate} passed (in 0.1 s)")
        assert telling.lines(passed) == []
    started = event(EventKind.TRIAL_STARTED, "trial of latency", trial="t-1")
    assert telling.lines(started) == [
        "latency: source checked, compiled, accepted by the kernel's verifier",
        "trial of latency",
    ]


def test_windows_are_told_by_turns_of_four() -> None:
    """The windows of an unfinished turn come with the trial's end."""
    telling = EventLines()
    telling.lines(event(EventKind.TRIAL_STARTED, "trial of latency", trial="t-1"))
    said = [
        telling.lines(event(EventKind.WINDOW, trial="t-1"), trial(*ABBA[:count]))
        for count in range(1, 5)
    ]
    assert said[:3] == [[], [], []]
    assert said[3] == ["windows 1 to 4: before 81 and 92, candidate 9.5 and not counted ms"]
    end = event(EventKind.ROLLBACK, "latency was rolled back", trial="t-1")
    assert telling.lines(end, trial(*ABBA, window(Arm.CANDIDATE, 7))) == [
        "window 5: candidate 7 ms",
        "latency was rolled back",
    ]


def test_what_is_of_no_interest_to_people_is_left_out() -> None:
    """Beginnings are left out, and so is everything that another line says."""
    for kind in (EventKind.GATE_STARTED, EventKind.VERDICT, EventKind.LESSON, EventKind.ADVICE):
        assert EventLines().lines(event(kind, "something")) == []


def test_long_times_are_milliseconds_without_powers_of_ten() -> None:
    """Microseconds are for programs, and so is a number like 7.31e+04."""
    windows = (window(Arm.BASELINE, 73_120.0), window(Arm.CANDIDATE, 352.0))
    assert values(windows, "us") == "before 73.1, candidate 0.352 ms"
    assert values((window(Arm.CANDIDATE, 1123.4),), "ms") == "candidate 1123 ms"
