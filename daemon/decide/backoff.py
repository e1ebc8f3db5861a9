# SPDX-License-Identifier: GPL-2.0-or-later
"""When the daemon may try something again, and when it should not.

All functions take a frozen state and the caller's `now` (Unix seconds). The state is a pydantic
model, so that the daemon can store it and a restart does not forget it.
"""

from pydantic import BaseModel, ConfigDict

from daemon.api.models import Limitation, QuarantineView
from daemon.decide.settings import LimitSettings
from daemon.decide.words import duration
from process import Fault, FaultType

HOUR_S = 3600.0
# A candidate that could not be measured this often within the hour is treated like a failure.
MOST_UNMEASURED = 3
# How many candidates' history is kept; if there are more, those that have been free longest are
# removed.
MOST_REMEMBERED = 1000


class Quarantine(BaseModel):
    """One candidate that caused trouble. It is kept after `until` because of `times`."""

    model_config = ConfigDict(frozen=True)

    candidate: str
    scheduler: str
    reason: str
    since: float
    until: float
    times: int = 1
    # A gate stopped it, before the kernel was ever asked to run it.
    by_gate: bool = False


class Backoff(BaseModel):
    """Recent trouble. `failures` are those in a row, which a keep ends."""

    model_config = ConfigDict(frozen=True)

    failures: int = 0
    cooldown_until: float = 0.0
    cooldown_reason: str = ""
    trials: tuple[float, ...] = ()
    ejections: tuple[float, ...] = ()
    advice_only_until: float = 0.0
    advice_only_reason: str = ""
    quarantines: tuple[Quarantine, ...] = ()
    # Candidates whose trials could not be measured, and when.
    unmeasured: tuple[tuple[str, float], ...] = ()

    def advice_only(self, now: float) -> Limitation | None:
        """While this holds the daemon loads nothing on its own."""
        if now >= self.advice_only_until:
            return None
        return Limitation(reason=self.advice_only_reason, until=self.advice_only_until)

    def cooldown(self, now: float, settings: LimitSettings) -> Limitation | None:
        """Why no trial may start now, if so: a cooldown, or the hour's trials are used up."""
        if now < self.cooldown_until:
            return Limitation(reason=self.cooldown_reason, until=self.cooldown_until)
        recent = [at for at in self.trials if now - at < HOUR_S]
        if len(recent) >= settings.trials_per_hour:
            return Limitation(
                reason=f"{len(recent)} trials in the last hour, "
                f"{settings.trials_per_hour} are allowed",
                until=recent[-settings.trials_per_hour] + HOUR_S,
            )
        return None

    def quarantine_of(self, candidate: str, now: float) -> Quarantine | None:
        for each in self.quarantines:
            if each.candidate == candidate and now < each.until:
                return each
        return None

    def quarantined(self, now: float) -> list[QuarantineView]:
        return [
            QuarantineView(
                candidate=each.candidate,
                scheduler=each.scheduler,
                reason=each.reason,
                since=each.since,
                until=each.until,
            )
            for each in self.quarantines
            if now < each.until
        ]

    def check_trial(self, candidate: str, now: float, settings: LimitSettings) -> None:
        """Whether a trial of this candidate may start now.

        Raises:
            Fault: QUARANTINED or COOLDOWN, with the reason and the time left.
        """
        self.check_quarantine(candidate, now)
        limited = self.advice_only(now) or self.cooldown(now, settings)
        if limited:
            raise Fault(
                FaultType.COOLDOWN,
                "no trial may start now",
                why=limited.reason,
                hint=f"try again in {duration(max(1.0, limited.until - now))}",
            )

    def check_quarantine(self, candidate: str, now: float) -> None:
        """Raises:
        Fault: QUARANTINED.
        """
        held = self.quarantine_of(candidate, now)
        if held:
            raise Fault(
                FaultType.QUARANTINED,
                f"the candidate {candidate} is in quarantine",
                why=held.reason,
                hint=f"it ends in {duration(max(1.0, held.until - now))}; a changed candidate "
                "is another one, and is not held",
            )


def trial_started(state: Backoff, now: float) -> Backoff:
    recent = tuple(at for at in state.trials if now - at < HOUR_S)
    return state.model_copy(update={"trials": (*recent, now)})


def kept(state: Backoff, now: float, settings: LimitSettings) -> Backoff:
    """After a keep: the row of failures ends, and a pause begins."""
    return state.model_copy(
        update={
            "failures": 0,
            "cooldown_until": now + settings.cooldown_s,
            "cooldown_reason": "a scheduler has just been kept",
        }
    )


def failed(state: Backoff, reason: str, now: float, settings: LimitSettings) -> Backoff:
    """After a rollback or a failed trial: each failure in a row doubles the cooldown."""
    failures = state.failures + 1
    # Beyond 2^30 any cooldown is at its maximum, and floats stay finite.
    span = min(settings.cooldown_s * 2.0 ** min(failures - 1, 30), settings.cooldown_max_s)
    return state.model_copy(
        update={
            "failures": failures,
            "cooldown_until": max(state.cooldown_until, now + span),
            "cooldown_reason": f"{_times(failures)} without a keep, the last: {reason}",
        }
    )


def unmeasured(
    state: Backoff,
    candidate: str,
    scheduler: str,
    reason: str,
    now: float,
    settings: LimitSettings,
) -> Backoff:
    """After a trial that could not be measured: a pause, and no blame.

    Bounded: a candidate that can never be measured counts as a failure from the third time in an
    hour on.
    """
    recent = tuple((who, at) for who, at in state.unmeasured if now - at < HOUR_S)
    state = state.model_copy(update={"unmeasured": (*recent, (candidate, now))})
    if sum(who == candidate for who, _ in recent) + 1 >= MOST_UNMEASURED:
        return failed(state, reason, now, settings)
    return state.model_copy(
        update={
            "cooldown_until": max(state.cooldown_until, now + settings.cooldown_s),
            "cooldown_reason": f"{scheduler} {reason}",
        }
    )


def ejected(
    state: Backoff,
    candidate: str,
    scheduler: str,
    reason: str,
    now: float,
    settings: LimitSettings,
) -> Backoff:
    """After the kernel ejected a scheduler or refused to enable it.

    The candidate is quarantined, twice as long each time; enough of such trouble, from any
    candidates, leads to advice-only mode.
    """
    state = failed(state, reason, now, settings)
    known = next((q for q in state.quarantines if q.candidate == candidate), None)
    times = known.times + 1 if known else 1
    span = min(settings.quarantine_s * 2.0 ** min(times - 1, 30), settings.quarantine_max_s)
    held = Quarantine(
        candidate=candidate,
        scheduler=scheduler,
        reason=reason,
        since=now,
        until=now + span,
        times=times,
    )
    recent = (*(at for at in state.ejections if now - at < settings.ejections_within_s), now)
    update: dict[str, object] = {
        "quarantines": _with(state, held),
        "ejections": recent,
    }
    if len(recent) >= settings.ejections:
        update |= {
            "advice_only_until": now + settings.advice_only_s,
            "advice_only_reason": f"{_times(len(recent))} a scheduler was ejected or refused "
            f"within {duration(settings.ejections_within_s)}, the last: {reason}",
            # Counted and done: the mode ends by itself, and not at the next trouble.
            "ejections": (),
        }
    return state.model_copy(update=update)


def refused(
    state: Backoff,
    candidate: str,
    scheduler: str,
    reason: str,
    now: float,
    settings: LimitSettings,
) -> Backoff:
    """After a gate stopped a candidate: it is held, without further consequences.

    Gates are where mistakes belong, so there is no cooldown and no step towards advice-only mode.
    """
    if state.quarantine_of(candidate, now):
        return state
    held = Quarantine(
        candidate=candidate,
        scheduler=scheduler,
        reason=reason,
        since=now,
        until=now + settings.quarantine_s,
        by_gate=True,
    )
    return state.model_copy(update={"quarantines": _with(state, held)})


def passed(state: Backoff, candidate: str) -> Backoff:
    """After a candidate passed every gate: earlier refusals by gates no longer count."""
    if any(q.candidate == candidate and q.by_gate for q in state.quarantines):
        return pardoned(state, candidate)
    return state


def _with(state: Backoff, held: Quarantine) -> tuple[Quarantine, ...]:
    """The quarantines, with this one replacing an earlier one of the same candidate."""
    others = [q for q in state.quarantines if q.candidate != held.candidate]
    remembered = sorted([*others, held], key=lambda each: each.until)[-MOST_REMEMBERED:]
    return tuple(sorted(remembered, key=lambda each: each.since))


def pardoned(state: Backoff, candidate: str) -> Backoff:
    """The operator's decision: this candidate may be tried again, and its past is forgotten."""
    return state.model_copy(
        update={"quarantines": tuple(q for q in state.quarantines if q.candidate != candidate)}
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
