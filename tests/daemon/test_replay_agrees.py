# SPDX-License-Identifier: GPL-2.0-or-later
"""A replay judges as the daemon did: the daemon on a fake machine, and a replay of the same lines,
make the same decisions."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.api.models import Decision, EventKind, TrialState
from daemon.replay import ReplayEvent, read, replay
from tests.daemon.house import BETTER_US, OBJECTIVE, USUAL_US, WORSE_US, House, Play
from tests.decide.synthetic import SERVICE

MUCH_WORSE_US = 6 * USUAL_US
GOAL = {"workload": SERVICE, "text": "measurement rps higher > 500"}
KINDS = {
    EventKind.DEGRADATION: "degradation",
    EventKind.RECOVERED: "recovered",
    EventKind.ROLLBACK: "rollback",
}


def mark(home: House, kind: str, **others: object) -> None:
    """Put a mark after the lines that the daemon has seen."""
    home.lines.append(json.dumps({"mark": kind, "at": home.clock.now, **others}))


def marked_trial(home: House, candidate: str) -> None:
    mark(home, "trial", workload=SERVICE, objective=OBJECTIVE, candidate=candidate)


async def mark_windows(home: House, trial: str) -> None:
    """Let the trial run to its end, with a mark after the lines of each window."""
    known = home.daemon.trials.get(trial)
    seen = 0
    while not known.ended:
        await home.interval()
        for each in known.windows[seen:]:
            ends = {"started": each.started, "ended": each.ended}
            home.lines.append(json.dumps({"mark": "window", "arm": each.arm, **ends}))
            seen += 1
    mark(home, "end")


def replayed(home: House, folder: Path) -> list[ReplayEvent]:
    path = folder / "recording.jsonl"
    path.write_text("".join(f"{line}\n" for line in home.lines))
    return list(replay(read(path), home.daemon.config))


def decisions(home: House) -> Iterator[tuple[float, str, str]]:
    """The daemon's decisions outside of trials: when, what, and about which workload."""
    for event in home.events:
        if event.kind in KINDS and not event.trial:
            yield event.at, KINDS[event.kind], event.workload


def agree(home: House, folder: Path) -> list[ReplayEvent]:
    """The replay's decisions, which have to be the daemon's."""
    found = replayed(home, folder)
    own = [(each.at, each.kind, each.workload) for each in found if each.kind in KINDS.values()]
    assert own == list(decisions(home))
    return found


async def measured(home: House, value: float, began_s: float = 0.0) -> None:
    """A number of the application's is posted in the middle of the next interval; what it counts
    began so long before that."""
    at = home.clock.now
    home.clock.now += home.daemon.watch.interval_s / 2
    started = home.clock.now - began_s if began_s else None
    await home.measure("rps", value, started)
    mark(home, "measurement", name="rps", value=value, started=started)
    home.clock.now = at
    await home.interval()


def test_degradations_and_recoveries_are_the_same(play: Play, tmp_path: Path) -> None:
    """A workload that suffers, recovers, and suffers again."""

    async def story(home: House) -> None:
        for count, p99_us in ((25, USUAL_US), (8, WORSE_US), (12, USUAL_US), (6, WORSE_US)):
            await home.intervals(count, p99_us)
        found = agree(home, tmp_path)
        assert [each.kind for each in found] == [
            "degradation",
            "recovered",
            "degradation",
            "summary",
        ]

    play(story)


@pytest.mark.parametrize("began_s", [0.0, 120.0])
def test_numbers_of_another_scheduler_s_time_break_no_promise(
    play: Play, tmp_path: Path, began_s: float
) -> None:
    """After a change of scheduler, a measurement that began before it counts in neither; one that
    began since counts in both."""

    async def story(home: House) -> None:
        for _ in range(20):
            await measured(home, 900.0)
        candidate = await home.candidate("held", USUAL_US)
        await home.hold(candidate)
        mark(home, "scheduler", candidate=candidate)
        for _ in range(10):
            await measured(home, 100.0, began_s)
        found = agree(home, tmp_path)
        assert [each.kind for each in found[:-1]] == ([] if began_s else ["degradation"])

    play(story, objective=[GOAL])


def test_a_kept_scheduler_goes_in_the_same_interval(play: Play, tmp_path: Path) -> None:
    """Trial, keep and regression: the verdict and the rollback are the same."""

    async def story(home: House) -> None:
        await home.intervals(20)
        view = await home.trial(await home.candidate("better", BETTER_US))
        marked_trial(home, view.candidate)
        await mark_windows(home, view.id)
        verdict = home.of(view).verdict
        assert verdict is not None
        assert verdict.decision is Decision.KEEP
        await home.intervals(6)
        before = len(home.lines)
        await home.intervals(8, MUCH_WORSE_US)
        assert home.loader.runs == ""
        # The replay is told of no change that it has not decided itself.
        del home.lines[before + 8 :]
        found = [each for each in agree(home, tmp_path) if each.kind in ("verdict", "rollback")]
        assert found[0].message == f"keep: {verdict.reason}"
        assert found[0].figures["ratio"] == pytest.approx(verdict.ratio)
        assert found[1].kind == "rollback"

    play(story)


@pytest.mark.parametrize("p99_us", [USUAL_US, 1.8 * USUAL_US, WORSE_US])
def test_a_trial_without_a_keep_has_the_same_verdict(
    play: Play, tmp_path: Path, p99_us: float
) -> None:
    """The three other ends: no difference, worse with confidence, and harm that ends a window
    early."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("tried", p99_us))
        marked_trial(home, view.candidate)
        await mark_windows(home, view.id)
        verdict = home.of(view).verdict
        assert verdict is not None
        if home.of(view).harmed and home.lines:
            # Harm may have cut a window short: it lasted until now.
            started = home.of(view).windows[-1].ended
            cut = {"arm": "candidate", "started": started, "ended": home.clock.now}
            home.lines.insert(-1, json.dumps({"mark": "window", **cut}))
        found = [each for each in replayed(home, tmp_path) if each.kind == "verdict"]
        assert [each.message for each in found] == [f"rollback: {verdict.reason}"]

    play(story)


def test_a_trial_that_could_not_be_measured_has_no_verdict(play: Play, tmp_path: Path) -> None:
    """The daemon and the replay say why, in the same words."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("tried", BETTER_US))
        marked_trial(home, view.candidate)
        await mark_windows(home, view.id)
        assert home.state(view) is TrialState.UNMEASURED
        (found,) = [each for each in replayed(home, tmp_path) if each.kind == "unmeasured"]
        assert found.message == home.of(view).reason

    play(story, trial={"window_s": 3.0, "settle_s": 0.5, "samples_min": 100_000})
