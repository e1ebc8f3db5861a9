# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole trials on a fake machine, from the request to what runs afterwards."""

import pytest

from daemon.api.models import Arm, Decision, EpisodeState, EventKind, TrialState
from daemon.decide.life_cycle import NoSuchTransition
from daemon.decide.trial_states import TrialChange
from process import Fault, FaultType
from tests.daemon.house import BETTER_US, USUAL_US, WORSE_US, House, Play

ITS_OWN = "runtime error: invalid DSQ 0x7"
ASK = {"autonomy": "ask"}


# ---------------------------------------------------------------- verdicts


def test_a_better_scheduler_is_kept(play: Play) -> None:
    """A trial that shows a clear gain ends with the candidate in the kernel, to stay."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        assert view.state is TrialState.RUNNING
        await home.until_over()
        assert home.state(view) is TrialState.KEPT
        assert home.loader.loaded is not None
        assert (home.loader.runs, home.loader.loaded.why) == ("better", "kept")
        assert len(home.told(EventKind.KEPT)) == 1
        assert home.backoff.failures == 0

    play(story)


def test_a_scheduler_that_changes_nothing_is_rolled_back(play: Play) -> None:
    """If there is no difference, the default runs again, and a pause follows."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("same", USUAL_US))
        await home.until_over()
        assert home.state(view) is TrialState.ROLLED_BACK
        assert home.loader.runs == ""
        assert not home.of(view).harmed
        assert home.backoff.failures == 1
        fault = await home.refused(home.trial(await home.candidate("next", BETTER_US)))
        assert fault.type is FaultType.COOLDOWN

    play(story)


def test_a_trial_that_does_harm_is_stopped_within_its_first_windows(play: Play) -> None:
    """The candidate runs for some intervals only, and the verdict says why."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("worse", WORSE_US))
        await home.until_over()
        trial = home.of(view)
        assert trial.state is TrialState.ROLLED_BACK
        assert trial.harmed
        assert trial.verdict is not None
        assert trial.verdict.early
        assert sum(each.arm is Arm.CANDIDATE for each in trial.windows) <= 1
        assert home.loader.runs == ""

    play(story)


def test_a_winner_that_is_not_to_stay_is_put_back(play: Play) -> None:
    """With `keep` off, the verdict is a keep, and the earlier scheduler runs again."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US), keep=False)
        await home.until_over()
        verdict = home.of(view).verdict
        assert verdict is not None
        assert verdict.decision is Decision.KEEP
        assert home.state(view) is TrialState.ROLLED_BACK
        assert home.loader.runs == ""

    play(story)


def test_a_client_feeds_its_own_windows(play: Play) -> None:
    """The daemon switches the schedulers, the client gives the numbers, and the trial does not
    count towards those of an hour."""

    async def story(home: House) -> None:
        candidate = await home.candidate("better", BETTER_US)
        view = await home.trial(candidate, fed_by_client=True)
        number = 0
        while home.of(view).arm is not None:
            better = home.of(view).arm is Arm.CANDIDATE
            assert home.loader.runs == ("better" if better else "")
            number += 1
            value = (BETTER_US if better else USUAL_US) * (1 + 0.01 * (number % 3))
            view = await home.feed(view, value)
            await home.turns()
        assert home.state(view) is TrialState.KEPT
        assert home.backoff.trials == ()

    play(story)


# ---------------------------------------------------------------- what cuts a trial short


def test_the_operator_ends_a_trial(play: Play) -> None:
    """A rollback in a trial goes back to the earlier scheduler, with the operator's reason."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        await home.until_runs("better")
        await home.rollback("enough of this")
        assert home.state(view) is TrialState.ROLLED_BACK
        assert home.of(view).reason == "enough of this"
        assert home.loader.runs == ""
        assert home.daemon.trials.running is None

    play(story)


def test_the_end_of_the_daemon_ends_a_trial(play: Play) -> None:
    """The kernel's own scheduler runs, whatever was kept before, and nothing is loaded any more."""

    async def story(home: House) -> None:
        await home.kept("first")
        view = await home.trial(await home.candidate("second", BETTER_US / 3))
        await home.until_runs("second")
        home.daemon.stop.set()
        await home.daemon.restore_when_stopped()
        assert home.state(view) is TrialState.ROLLED_BACK
        assert home.of(view).reason == "the daemon stops"
        assert home.loader.runs == ""
        assert "first was unloaded" in home.told(EventKind.UNLOADED)[0]
        late = await home.candidate("late", BETTER_US)
        assert (await home.refused(home.hold(late))).type is FaultType.NOT_ALLOWED

    play(story)


def test_a_candidate_that_the_kernel_ejects_loses_its_trial(play: Play) -> None:
    """It is rolled back and quarantined."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        await home.until_runs("better")
        await home.throw_out(ITS_OWN)
        assert home.state(view) is TrialState.ROLLED_BACK
        assert ITS_OWN in home.of(view).reason
        assert home.quarantined(view.candidate)
        assert home.loader.runs == ""

    play(story)


def test_a_baseline_that_the_kernel_ejects_is_not_put_back(play: Play) -> None:
    """The candidate gets no blame; the ejected scheduler does not run again."""

    async def story(home: House) -> None:
        first = await home.kept("first")
        view = await home.trial(await home.candidate("second", BETTER_US / 3))
        assert home.loader.runs == "first"
        await home.throw_out(ITS_OWN)
        assert home.state(view) is TrialState.ROLLED_BACK
        assert "what it was compared with, first" in home.of(view).reason
        assert home.loader.runs == ""
        assert home.quarantined(first.candidate)
        assert not home.quarantined(view.candidate)

    play(story)


def test_a_baseline_that_asks_to_be_loaded_afresh_is_put_back(play: Play) -> None:
    """The trial ends, because its windows mean nothing any more, and the kept scheduler runs
    again."""

    async def story(home: House) -> None:
        first = await home.kept("first")
        view = await home.trial(await home.candidate("second", BETTER_US / 3))
        await home.throw_out("a CPU went offline", restart=True)
        assert home.state(view) is TrialState.ROLLED_BACK
        assert home.loader.runs == "first"
        assert not home.quarantined(first.candidate)

    play(story)


def test_a_candidate_that_the_kernel_does_not_enable_fails_its_trial(play: Play) -> None:
    """The trial failed, and the candidate is quarantined."""

    async def story(home: House) -> None:
        candidate = await home.candidate("bad", BETTER_US)
        home.loader.refusals["bad"] = [Fault(FaultType.EJECTED, "it was thrown out", why=ITS_OWN)]
        view = await home.trial(candidate)
        await home.until_over()
        assert home.state(view) is TrialState.FAILED
        assert home.quarantined(candidate)
        assert home.loader.runs == ""

    play(story)


def test_a_candidate_that_cannot_be_loaded_fails_its_trial_and_no_more(play: Play) -> None:
    """A missing part of the machine does not count against a candidate."""

    async def story(home: House) -> None:
        candidate = await home.candidate("big", BETTER_US)
        home.loader.refusals["big"] = [Fault(FaultType.LOAD_FAILED, "no memory for its maps")]
        view = await home.trial(candidate)
        await home.until_over()
        assert home.state(view) is TrialState.FAILED
        assert "no memory for its maps" in home.of(view).reason
        assert not home.quarantined(candidate)

    play(story)


def test_where_what_ran_before_cannot_be_put_back_the_default_runs(play: Play) -> None:
    """In that case the trial failed, whatever it showed."""

    async def story(home: House) -> None:
        await home.kept("first")
        view = await home.trial(await home.candidate("second", BETTER_US / 3))
        await home.until_runs("second")
        home.loader.refusals["first"] = [Fault(FaultType.LOAD_FAILED, "it does not fit")]
        await home.rollback("enough")
        assert home.state(view) is TrialState.FAILED
        assert "it does not fit" in home.of(view).reason
        assert home.loader.runs == ""

    play(story)


def test_a_trial_that_is_over_cannot_be_changed(play: Play) -> None:
    """Its state is final; a request for another state is refused."""

    async def story(home: House) -> None:
        view = await home.kept()
        with pytest.raises(NoSuchTransition):
            home.of(view).change(TrialChange.FAILED)
        with pytest.raises(NoSuchTransition):
            home.daemon.trials.begin(home.of(view))
        assert home.state(view) is TrialState.KEPT

    play(story)


# ---------------------------------------------------------------- what is learned from it


def test_a_trial_that_was_stopped_before_anything_was_compared_teaches_nothing(play: Play) -> None:
    """One window of each arm has a ratio, which noise can make: no belief, no weight of a search
    and no lesson rests on it. The trial itself is remembered."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("slow", 1.8 * USUAL_US))
        while not any(each.arm is Arm.CANDIDATE for each in home.of(view).windows):
            await home.interval()
        await home.rollback("enough")
        verdict = home.of(view).verdict
        assert verdict is not None
        assert verdict.gain < -0.5
        memory = home.daemon.history_writer
        assert memory.evidence(10) == []
        assert memory.outcomes("") == []
        assert memory.moves(10) == []
        told = memory.trial_view(view.id)
        assert told is not None
        assert told.verdict == verdict

    play(story)


def test_a_trial_that_did_harm_is_learned_from(play: Play) -> None:
    """That trial was also stopped early, and it is the best reason not to try the same again."""

    async def story(home: House) -> None:
        await home.trial(await home.candidate("worse", WORSE_US))
        await home.until_over()
        (evidence,) = home.daemon.history_writer.evidence(10)
        assert evidence.scheduler == "worse"
        assert evidence.decision.value == "rollback"

    play(story)


# ---------------------------------------------------------------- who decides


def test_under_ask_a_trial_waits_for_a_person(play: Play) -> None:
    """Nothing is loaded before the approval; then the trial runs like any other."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        await home.intervals(3)
        assert home.state(view) is TrialState.AWAITING_APPROVAL
        assert home.loader.loads == []
        assert [each.trial for each in home.daemon.trials.waiting()] == [view.id]
        assert view.approval in home.told(EventKind.APPROVAL_WANTED)[0]
        assert (await home.approve(view)).state is TrialState.RUNNING
        await home.until_over()
        assert home.state(view) is TrialState.KEPT

    play(story, daemon=ASK)


def test_under_ask_a_refusal_ends_the_trial_and_its_episode(play: Play) -> None:
    """Nothing was loaded, the reason is the person's, and the question cannot be answered twice."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        declined = await home.approve(view, approve=False, reason="not in business hours")
        assert declined.state is TrialState.DECLINED
        assert declined.reason == "not in business hours"
        assert home.daemon.episodes.get(view.episode).state is EpisodeState.CLOSED
        assert home.loader.loads == []
        fault = await home.refused(home.approve(view))
        assert fault.type is FaultType.NOT_FOUND

    play(story, daemon=ASK)


def test_under_ask_the_same_request_is_one_question(play: Play) -> None:
    """A client that asks again gets the waiting trial."""

    async def story(home: House) -> None:
        candidate = await home.candidate("better", BETTER_US)
        first, second = await home.trial(candidate), await home.trial(candidate)
        assert first.id == second.id
        assert len(home.told(EventKind.APPROVAL_WANTED)) == 1

    play(story, daemon=ASK)


def test_an_approval_while_another_trial_runs_waits_on(play: Play) -> None:
    """The approval is refused as busy, and can be repeated when the other trial is over."""

    async def story(home: House) -> None:
        first = await home.trial(await home.candidate("first", BETTER_US))
        second = await home.trial(await home.candidate("second", BETTER_US / 3))
        await home.approve(first)
        assert (await home.refused(home.approve(second))).type is FaultType.BUSY
        assert home.state(second) is TrialState.AWAITING_APPROVAL
        await home.until_over()
        home.rest()
        assert (await home.approve(second)).state is TrialState.RUNNING

    play(story, daemon=ASK)


def test_an_approved_trial_that_cannot_start_failed(play: Play) -> None:
    """A foreign scheduler came meanwhile: the person gets the reason, and the trial is over."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        home.loader.foreign_ops = "scx_other"
        fault = await home.refused(home.approve(view))
        assert fault.type is FaultType.FOREIGN_SCHEDULER
        assert home.state(view) is TrialState.FAILED
        assert home.daemon.episodes.get(view.episode).state is EpisodeState.CLOSED

    play(story, daemon=ASK)


def test_under_observe_no_trial_starts(play: Play) -> None:
    """The machine's earlier scheduler keeps running; only advice is recorded."""

    async def story(home: House) -> None:
        fault = await home.refused(home.trial(await home.candidate("better", BETTER_US)))
        assert fault.type is FaultType.NOT_ALLOWED
        assert home.daemon.trials.waiting() == []
        assert home.loader.loads == []

    play(story, daemon={"autonomy": "observe"})


# ---------------------------------------------------------------- one thing after the other


def test_while_a_trial_runs_nothing_else_is_begun(play: Play) -> None:
    """No second trial, no scheduler by hand, no other parameters, no end of its episode."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        other = await home.candidate("other", USUAL_US)
        for action in (
            home.trial(other),
            home.hold(other),
            home.close_episode(view.episode),
        ):
            assert (await home.refused(action)).type is FaultType.BUSY
        assert home.state(view) is TrialState.RUNNING

    play(story)


def test_what_runs_already_is_not_tried(play: Play) -> None:
    """A trial compares a candidate with something else."""

    async def story(home: House) -> None:
        view = await home.kept()
        fault = await home.refused(home.trial(view.candidate))
        assert fault.type is FaultType.BAD_REQUEST

    play(story)


def test_a_scheduler_by_hand_that_does_not_load_gives_way_to_what_ran(play: Play) -> None:
    """A refused candidate is quarantined, and the earlier scheduler runs again."""

    async def story(home: House) -> None:
        await home.hold(await home.candidate("one", USUAL_US))
        two = await home.candidate("two", USUAL_US)
        home.loader.refusals["two"] = [Fault(FaultType.EJECTED, "it was thrown out", why=ITS_OWN)]
        assert (await home.refused(home.hold(two))).type is FaultType.EJECTED
        assert home.loader.runs == "one"
        assert home.quarantined(two)

    play(story)


def test_a_scheduler_by_hand_leaves_when_it_is_released(play: Play) -> None:
    """The default runs, and the journal has the reason."""

    async def story(home: House) -> None:
        await home.hold(await home.candidate("one", USUAL_US))
        await home.release("done with it")
        assert home.loader.runs == ""
        assert "done with it" in home.told(EventKind.UNLOADED)[0]

    play(story)
