# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon does by itself on a fake machine: it opens episodes, and rolls back what it
kept."""

import pytest

from daemon import autopilot
from daemon.api.models import EpisodeState, EventKind, TrialState
from process import Fault, FaultType
from tests.daemon.house import BETTER_US, USUAL_US, House, Play
from tests.decide.synthetic import SERVICE

ITS_OWN = "runtime error: invalid DSQ 0x7"
MUCH_WORSE_US = 6 * USUAL_US


# ---------------------------------------------------------------- episodes


def test_a_degradation_opens_an_episode(play: Play) -> None:
    """A workload that is served worse for some intervals is reported, and an advisor is asked."""

    async def story(home: House) -> None:
        await home.intervals(20)
        assert home.daemon.episodes.open is None
        await home.intervals(5, MUCH_WORSE_US)
        episode = home.daemon.episodes.open
        assert episode is not None
        assert episode.workload == SERVICE
        assert len(home.told(EventKind.DEGRADATION)) == 1

    play(story)


def test_while_a_scheduler_of_ours_runs_no_episode_opens(play: Play) -> None:
    """The degradation is reported; the daemon first deals with the loaded scheduler."""

    async def story(home: House) -> None:
        await home.intervals(20)
        await home.hold(await home.candidate("held", USUAL_US))
        await home.intervals(6, MUCH_WORSE_US)
        assert len(home.told(EventKind.DEGRADATION)) == 1
        assert home.daemon.episodes.open is None

    play(story)


def test_an_episode_that_nobody_deals_with_is_closed(play: Play) -> None:
    """After the time for an advisor, the episode ends as abandoned."""

    async def story(home: House) -> None:
        await home.intervals(20)
        await home.intervals(5, MUCH_WORSE_US)
        episode = home.daemon.episodes.open
        assert episode is not None
        home.clock.now += home.daemon.config.advisor.patience_s
        await home.interval()
        assert episode.state is EpisodeState.CLOSED
        assert "no advisor" in home.told(EventKind.EPISODE_CLOSED)[0]

    play(story)


def test_after_an_episode_without_a_keep_the_next_waits(play: Play) -> None:
    """The same workload is left alone for twice the cooldown, then an episode opens again."""

    async def story(home: House) -> None:
        await home.intervals(20)
        await home.intervals(5, MUCH_WORSE_US)
        episode = home.daemon.episodes.open
        assert episode is not None
        await home.close_episode(episode.id)
        pause_s = 2 * home.daemon.config.limits.cooldown_s
        count = int(pause_s / home.daemon.watch.interval_s)
        await home.intervals(count - 1, MUCH_WORSE_US)
        assert home.daemon.episodes.open is None
        await home.intervals(1, MUCH_WORSE_US)
        assert home.daemon.episodes.open is not None

    play(story)


def test_a_foreign_scheduler_is_told_once_and_nothing_is_begun(play: Play) -> None:
    """While somebody else's scheduler runs there are no episodes and no trials."""

    async def story(home: House) -> None:
        await home.intervals(20)
        candidate = await home.candidate("better", BETTER_US)
        home.loader.foreign_ops = "scx_other"
        await home.intervals(6, MUCH_WORSE_US)
        assert len(home.told(EventKind.FOREIGN)) == 1
        assert home.daemon.episodes.open is None
        fault = await home.refused(home.trial(candidate))
        assert fault.type is FaultType.FOREIGN_SCHEDULER
        (trial,) = home.daemon.episodes.last(1)[0].trials.values()
        assert trial.state is TrialState.FAILED
        assert home.loader.loads == []

    play(story)


# ---------------------------------------------------------------- what was kept


def test_a_kept_scheduler_that_regresses_is_rolled_back(play: Play) -> None:
    """If it becomes worse than when it was kept, and worse than the default was, the default runs
    again."""

    async def story(home: House) -> None:
        await home.kept()
        await home.intervals(6)
        assert home.loader.runs == "better"
        await home.intervals(6, MUCH_WORSE_US)
        assert home.loader.runs == ""
        assert "better was rolled back" in home.told(EventKind.ROLLBACK)[0]
        assert home.backoff.failures == 1

    play(story)


def test_a_kept_scheduler_that_still_beats_the_default_stays(play: Play) -> None:
    """If it becomes worse than when it was kept, but is better than the default was, the load is
    heavier and it stays."""

    async def story(home: House) -> None:
        await home.kept()
        await home.intervals(12, 2 * BETTER_US)
        assert home.loader.runs == "better"

    play(story)


def test_what_was_kept_before_runs_again_after_a_regression(play: Play) -> None:
    """If a scheduler that replaced a kept one is rolled back, the earlier one runs again."""

    async def story(home: House) -> None:
        await home.kept("first")
        await home.kept("second", BETTER_US / 3)
        await home.intervals(6, MUCH_WORSE_US)
        assert home.loader.runs == "first"
        assert "first runs" in home.told(EventKind.ROLLBACK)[0]

    play(story)


def test_where_what_was_kept_before_does_not_load_the_default_runs(play: Play) -> None:
    """The rollback still happens, and says what went wrong."""

    async def story(home: House) -> None:
        await home.kept("first")
        await home.kept("second", BETTER_US / 3)
        home.loader.refusals["first"] = [Fault(FaultType.LOAD_FAILED, "it does not fit")]
        await home.intervals(6, MUCH_WORSE_US)
        assert home.loader.runs == ""
        assert "it does not fit" in home.told(EventKind.ROLLBACK)[0]

    play(story)


def test_a_rollback_by_hand_ends_what_is_kept(play: Play) -> None:
    """The operator's request is enough; the guard stops watching."""

    async def story(home: House) -> None:
        await home.kept()
        await home.rollback("not on Fridays")
        assert home.loader.runs == ""
        assert "not on Fridays" in home.told(EventKind.ROLLBACK)[0]
        fault = await home.refused(home.rollback("again"))
        assert fault.type is FaultType.NOT_FOUND

    play(story)


# ---------------------------------------------------------------- ejections


def test_a_kept_scheduler_that_the_kernel_ejects_is_quarantined(play: Play) -> None:
    """The default runs, the candidate is in quarantine, and the journal has both."""

    async def story(home: House) -> None:
        view = await home.kept()
        await home.throw_out(ITS_OWN)
        assert home.loader.runs == ""
        assert home.quarantined(view.candidate)
        for kind in (EventKind.EJECTED, EventKind.QUARANTINED, EventKind.ROLLBACK):
            assert len(home.told(kind)) == 1
        fault = await home.refused(home.trial(view.candidate))
        assert fault.type is FaultType.QUARANTINED

    play(story)


def test_a_scheduler_that_asks_to_be_loaded_afresh_is(play: Play) -> None:
    """A change of CPUs does not count against a scheduler."""

    async def story(home: House) -> None:
        view = await home.kept()
        await home.throw_out("a CPU went offline", restart=True)
        assert home.loader.runs == "better"
        assert not home.quarantined(view.candidate)
        assert len(home.told(EventKind.LOADED)) == 1

    play(story)


def test_a_scheduler_that_asks_for_it_too_often_is_given_up(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is quarantined as after an ejection by the kernel."""
    monkeypatch.setattr(autopilot, "RESTART_PAUSE_S", 0.0)

    async def story(home: House) -> None:
        view = await home.kept()
        for _ in range(autopilot.MOST_RESTARTS):
            await home.throw_out("a CPU went offline", restart=True)
            assert home.loader.runs == "better"
        await home.throw_out("a CPU went offline", restart=True)
        assert home.loader.runs == ""
        assert home.quarantined(view.candidate)

    play(story)


def test_so_many_ejections_end_in_advice_only(play: Play) -> None:
    """After the third within an hour, the daemon tries nothing by itself for a while."""

    async def story(home: House) -> None:
        await home.interval()
        for name in ("one", "two", "three"):
            await home.hold(await home.candidate(name, USUAL_US))
            await home.throw_out(ITS_OWN)
        await home.interval()
        assert home.backoff.advice_only(home.clock.now) is not None
        assert len(home.told(EventKind.ADVICE_ONLY)) == 1
        fault = await home.refused(home.trial(await home.candidate("four", BETTER_US)))
        assert fault.type is FaultType.COOLDOWN

    play(story)
