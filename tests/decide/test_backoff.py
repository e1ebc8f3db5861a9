# SPDX-License-Identifier: GPL-2.0-or-later
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide import backoff
from daemon.decide.backoff import Backoff
from daemon.decide.settings import LimitSettings
from process import Fault, FaultType

NOW = 1_700_000_000.0
LIMITS = LimitSettings(
    trials_per_hour=4,
    cooldown_s=60,
    cooldown_max_s=600,
    quarantine_s=1000,
    quarantine_max_s=3000,
    ejections=3,
    ejections_within_s=3600,
    advice_only_s=7200,
)


def test_a_clean_slate_may_try() -> None:
    """At the start nothing stops a trial."""
    Backoff().check_trial("c-1", NOW, LIMITS)
    assert Backoff().cooldown(NOW, LIMITS) is None
    assert Backoff().advice_only(NOW) is None
    assert Backoff().quarantined(NOW) == []


def test_failures_in_a_row_double_the_cooldown_up_to_its_maximum() -> None:
    """The cooldowns are one, two, four and eight minutes, and then always ten."""
    state, now, spans = Backoff(), NOW, []
    for _ in range(6):
        state = backoff.failed(state, "no gain", now, LIMITS)
        spans.append(state.cooldown_until - now)
        now = state.cooldown_until
    assert spans == [60, 120, 240, 480, 600, 600]
    limited = state.cooldown(now - 1, LIMITS)
    assert limited is not None
    assert limited.reason == "6 times without a keep, the last: no gain"
    assert state.cooldown(now, LIMITS) is None


def test_a_keep_ends_the_row() -> None:
    """After a keep the next failure starts from the shortest cooldown again."""
    state = Backoff()
    for _ in range(4):
        state = backoff.failed(state, "no gain", NOW, LIMITS)
    state = backoff.kept(state, NOW, LIMITS)
    assert state.cooldown_until == NOW + 60
    state = backoff.failed(state, "no gain", NOW + 100, LIMITS)
    assert state.cooldown_until == NOW + 160


def test_a_cooldown_is_a_fault_with_the_time_left() -> None:
    """A request that comes too early gets the reason, and when to come back."""
    state = backoff.failed(Backoff(), "worse", NOW, LIMITS)
    with pytest.raises(Fault) as caught:
        state.check_trial("c-1", NOW + 20, LIMITS)
    assert caught.value.type is FaultType.COOLDOWN
    assert caught.value.why == "once without a keep, the last: worse"
    assert caught.value.hint == "try again in 40 s"


def test_trials_of_an_hour_are_counted() -> None:
    """The fifth within an hour waits until the first is an hour old."""
    state = Backoff()
    for minute in (0, 10, 20, 30):
        state = backoff.trial_started(state, NOW + 60 * minute)
    limited = state.cooldown(NOW + 2400, LIMITS)
    assert limited is not None
    assert limited.until == NOW + 3600
    assert "4 trials in the last hour" in limited.reason
    assert state.cooldown(NOW + 3600, LIMITS) is None


def test_an_ejected_candidate_is_quarantined_and_longer_each_time() -> None:
    """The same candidate waits twice as long the next time, up to the maximum; others need not."""
    state, now, spans = Backoff(), NOW, []
    for _ in range(4):
        state = backoff.ejected(state, "c-1", "evil", "runnable task stall", now, LIMITS)
        [view] = state.quarantined(now)
        spans.append(view.until - now)
        assert (view.candidate, view.scheduler, view.reason) == (
            "c-1",
            "evil",
            "runnable task stall",
        )
        with pytest.raises(Fault) as caught:
            state.check_quarantine("c-1", view.until - 1)
        assert caught.value.type is FaultType.QUARANTINED
        assert caught.value.why == "runnable task stall"
        state.check_quarantine("c-2", now)
        now = view.until
        state.check_quarantine("c-1", now)
        assert state.quarantined(now) == []
        # Far enough apart, so that it is not repeated trouble.
        now += 10_000
    assert spans == [1000, 2000, 3000, 3000]


def test_repeated_trouble_ends_in_advice_only_and_that_ends_by_itself() -> None:
    """Three ejections of any candidates within an hour lead to advice only, for two hours."""
    state = Backoff()
    for number in range(3):
        assert state.advice_only(NOW) is None
        state = backoff.ejected(state, f"c-{number}", "s", "stall", NOW + number, LIMITS)
    limited = state.advice_only(NOW + 3)
    assert limited is not None
    assert "3 times a scheduler was ejected" in limited.reason
    with pytest.raises(Fault) as caught:
        state.check_trial("c-9", NOW + 7000, LIMITS)
    assert caught.value.type is FaultType.COOLDOWN
    assert state.advice_only(NOW + 7203) is None
    after = backoff.ejected(state, "c-9", "s", "stall", NOW + 8000, LIMITS)
    assert after.advice_only(NOW + 8001) is None


def test_ejections_far_apart_are_not_repeated_trouble() -> None:
    """One every two hours never ends in advice-only mode."""
    state = Backoff()
    for number in range(10):
        now = NOW + 7200 * number
        state = backoff.ejected(state, f"c-{number}", "s", "stall", now, LIMITS)
        assert state.advice_only(now) is None


def test_the_operator_may_pardon() -> None:
    """A pardoned candidate has no quarantine and starts again from the beginning."""
    state = backoff.ejected(Backoff(), "c-1", "s", "stall", NOW, LIMITS)
    assert len(state.quarantined(NOW)) == 1
    pardoned = backoff.pardoned(state, "c-1")
    assert pardoned.quarantined(NOW) == []
    pardoned.check_quarantine("c-1", NOW)


def test_it_survives_being_written_down() -> None:
    """Nothing is lost when it is stored and read again."""
    state = backoff.trial_started(Backoff(), NOW)
    state = backoff.ejected(state, "c-1", "s", "stall", NOW, LIMITS)
    assert Backoff.model_validate_json(state.model_dump_json()) == state


@given(st.integers(1, 3000))
def test_memory_and_numbers_stay_bounded(times: int) -> None:
    """However often it fails, the state stays small and the wait finite."""
    state = Backoff(failures=times)
    state = backoff.failed(state, "x", NOW, LIMITS)
    assert state.cooldown_until <= NOW + LIMITS.cooldown_max_s


def test_quarantines_remembered_are_bounded() -> None:
    """Beyond the limit, those that have been free the longest are forgotten, never the newest."""
    state = Backoff()
    for number in range(backoff.MOST_REMEMBERED + 5):
        state = backoff.ejected(state, f"c-{number}", "s", "x", NOW + number, LIMITS)
    assert len(state.quarantines) == backoff.MOST_REMEMBERED
    assert state.quarantines[-1].candidate == f"c-{backoff.MOST_REMEMBERED + 4}"


def test_what_could_not_be_measured_is_held_against_nobody() -> None:
    """An unmeasured trial leads to a pause, and to no quarantine and no counted failure."""
    state = backoff.unmeasured(Backoff(), "c-1", "fair", "could not be measured", NOW, LIMITS)
    assert state.failures == 0
    assert state.quarantined(NOW) == []
    paused = state.cooldown(NOW, LIMITS)
    assert paused is not None
    assert "could not be measured" in paused.reason
    assert state.cooldown(NOW + LIMITS.cooldown_s + 1, LIMITS) is None


def test_what_can_never_be_measured_is_not_tried_for_ever() -> None:
    """The third time within an hour counts as a failure; later it is forgotten."""
    state = Backoff()
    for times in range(3):
        state = backoff.unmeasured(state, "c-1", "fair", "not measured", NOW + times, LIMITS)
    assert state.failures == 1
    later = backoff.unmeasured(state, "c-1", "fair", "not measured", NOW + 4000, LIMITS)
    assert later.failures == 1
    assert Backoff.model_validate_json(later.model_dump_json()) == later
