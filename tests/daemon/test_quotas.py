# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler that lets a cgroup exceed its `cpu.max` is rolled back, in a trial and once kept."""

from daemon.api.models import TrialState
from tests.daemon.house import BETTER_US, House, Play

SHOP = "/system.slice/shop.service"


def test_a_candidate_that_ignores_a_quota_is_rolled_back(play: Play) -> None:
    """It is rolled back in its first window, by name, however much better it serves the
    workload."""

    async def story(home: House) -> None:
        await home.intervals(20)
        home.quotas.use = {"": {SHOP: 0.2}, "loose": {SHOP: 0.61}}
        trial = await home.trial(await home.candidate("loose", BETTER_US))
        await home.until_over()
        assert home.state(trial) is TrialState.ROLLED_BACK
        assert "shop.service used 0.61 CPUs; its cpu.max allows 0.20" in home.of(trial).reason
        assert home.of(trial).harmed
        assert len(home.of(trial).windows) == 1
        assert home.loader.runs == ""

    play(story)


def test_in_a_trial_that_a_client_feeds_it_is_seen_too(play: Play) -> None:
    """Its first window ends the trial, whatever number the client gives."""

    async def story(home: House) -> None:
        home.quotas.use = {"": {SHOP: 0.2}, "loose": {SHOP: 0.61}}
        view = await home.trial(await home.candidate("loose", BETTER_US), fed_by_client=True)
        while home.of(view).arm is not None:
            await home.intervals(3)
            view = await home.feed(view, 1.0)
            await home.turns()
        assert home.state(view) is TrialState.ROLLED_BACK
        assert "shop.service used 0.61 CPUs" in home.of(view).reason
        assert len(home.of(view).windows) == 1

    play(story)


def test_one_that_honours_it_is_kept(play: Play) -> None:
    """Usage that the quota allows, or that the border of an interval adds, is no reason to roll
    back."""

    async def story(home: House) -> None:
        await home.intervals(20)
        home.quotas.use = {"": {SHOP: 0.2}, "tight": {SHOP: 0.21}}
        trial = await home.trial(await home.candidate("tight", BETTER_US))
        await home.until_over()
        assert home.state(trial) is TrialState.KEPT
        await home.intervals(20)
        assert home.loader.runs == "tight"

    play(story)


def test_what_exceeds_it_under_the_default_too_is_not_blamed(play: Play) -> None:
    """A quota does not bind real-time tasks, whatever the scheduler."""

    async def story(home: House) -> None:
        await home.intervals(20)
        home.quotas.use = {"": {SHOP: 0.9}, "tight": {SHOP: 0.9}}
        trial = await home.trial(await home.candidate("tight", BETTER_US))
        await home.until_over()
        assert home.state(trial) is TrialState.KEPT
        await home.intervals(20)
        assert home.loader.runs == "tight"

    play(story)


def test_a_kept_scheduler_that_lets_a_quota_go_leaves(play: Play) -> None:
    """The guard keeps watching, and says who used how much."""

    async def story(home: House) -> None:
        await home.intervals(20)
        trial = await home.trial(await home.candidate("later", BETTER_US))
        await home.until_over()
        assert home.state(trial) is TrialState.KEPT
        home.quotas.use = {"later": {SHOP: 1.5}}
        await home.intervals(6)
        assert home.loader.runs == ""
        assert "shop.service used 1.50 CPUs" in home.events[-1].reason
        assert home.events[-1].workload == f"cgroup:{SHOP}"

    play(story)


def test_what_the_operator_allows_is_not_watched(play: Play) -> None:
    """`allow_ignoring` counts for the guard as for the gate."""

    async def story(home: House) -> None:
        await home.intervals(20)
        home.quotas.use = {"": {SHOP: 0.2}, "loose": {SHOP: 0.61}}
        trial = await home.trial(await home.candidate("loose", BETTER_US))
        await home.until_over()
        assert home.state(trial) is TrialState.KEPT

    play(story, gates={"allow_ignoring": ["cpu.max"]})


def test_while_nothing_of_ours_runs_nothing_is_read(play: Play) -> None:
    """The kernel's own scheduler needs no watching."""

    async def story(home: House) -> None:
        home.quotas.use = {"": {SHOP: 9.0}}
        await home.intervals(5)
        assert home.quotas.forgotten == 5
        assert home.daemon.watch.observation is not None
        assert home.daemon.watch.observation.quotas == ()

    play(story)
