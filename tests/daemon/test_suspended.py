# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine that is suspended in between: nobody is judged by that time, and nothing is lost."""

import pytest

from daemon.api.models import EventKind, TrialState
from daemon.signals.suspended import SuspendedTime, slept_s
from tests.daemon.house import BETTER_US, USUAL_US, House, Play

NIGHT_S = 8 * 3600.0


def test_only_the_time_since_the_last_interval_counts() -> None:
    """And not what two readings of a clock differ by."""
    slept = iter([100.0, 100.0, 100.004, 160.0, 160.0])
    clock = SuspendedTime(lambda: next(slept))
    assert [clock.since_last() for _ in range(4)] == pytest.approx([0, 0, 59.996, 0])


def test_the_kernels_clocks_can_be_read() -> None:
    """On any machine; one that was never suspended says about zero."""
    assert slept_s() > -1


def test_a_window_with_a_suspend_does_not_count(play: Play) -> None:
    """It is repeated, and the trial keeps what is better, as if nothing had been."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        await home.until_runs("better")
        await home.interval()
        home.suspend(NIGHT_S)
        await home.interval(50 * USUAL_US)
        await home.until_over()
        assert home.state(view) is TrialState.KEPT
        spoiled = [each for each in home.of(view).windows if "suspended" in each.excluded]
        assert [each.disturbed for each in spoiled] == [True]
        assert "8 h" in spoiled[0].excluded

    play(story)


def test_a_value_that_a_client_measured_across_a_suspend_does_not_count(play: Play) -> None:
    """The client is asked for that window once more."""

    async def story(home: House) -> None:
        view = await home.trial(
            await home.candidate("better", BETTER_US),
            objective="measurement m lower",
            fed_by_client=True,
        )
        home.suspend(60.0)
        after = await home.feed(view, 90.0)
        assert "suspended" in after.windows[0].excluded
        assert after.next_arm == view.next_arm

    play(story)


def test_what_is_kept_outlives_a_suspend(play: Play) -> None:
    """However badly everybody was served when the machine slept and woke, nothing is rolled back,
    nothing is a degradation, and the scheduler is not loaded again."""

    async def story(home: House) -> None:
        await home.kept()
        loads = len(home.loader.loads)
        for _ in range(8):
            home.suspend(NIGHT_S)
            await home.interval(50 * USUAL_US)
        assert home.loader.runs == "better"
        assert len(home.loader.loads) == loads
        assert home.told(EventKind.DEGRADATION) == []

    play(story)
