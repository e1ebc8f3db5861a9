# SPDX-License-Identifier: GPL-2.0-or-later
"""Converts records for the bandit, and beliefs for the API. Pure."""

from collections.abc import Iterable

from daemon.api.models import BeliefView
from daemon.decide.backoff import Quarantine
from scheduler_library.history import Decision
from scheduler_library.history_learning import Move, VerdictEvidence
from scheduler_library.learning import bandit
from scheduler_library.learning.bandit import BanditObservation, ObservationKind
from scheduler_library.learning.beliefs import TrialOption, why
from scheduler_library.learning.context import SUCH, Context, likeness
from scheduler_library.learning.leading_metric import leading_metric_of, worth

# A scheduler that failed on such a workload within this time is not tried again.
RECENT_S = 3600.0
# A smaller change of a weight counts as none.
LEAST_MOVE = 0.0005


def observation(evidence: VerdictEvidence) -> BanditObservation:
    """A recorded verdict as the bandit sees it."""
    return BanditObservation(
        scheduler=evidence.scheduler,
        at=evidence.at,
        gain=evidence.gain,
        deviation=max(0.0, evidence.high - evidence.low) / (2 * bandit.WITHIN_95),
        kept=evidence.decision is Decision.KEEP,
        parameters=evidence.params,
        shape=evidence.parent,
        tags=evidence.tags,
        figures=evidence.figures,
        workload=evidence.workload,
        found_by=leading_metric_of(evidence.objective),
    )


def failure(held: Quarantine) -> BanditObservation:
    """A quarantine, including a past one, as the bandit sees it."""
    return BanditObservation(
        scheduler=held.scheduler,
        at=held.since,
        kind=ObservationKind.GATE if held.by_gate else ObservationKind.QUARANTINE,
        reason=held.reason,
    )


def belief_views(
    found: Iterable[TrialOption], context: Context, observed: list[BanditObservation], now: float
) -> list[BeliefView]:
    """Beliefs for the API, with the reasons why some may not be acted on now."""
    return [belief_view(each, _failed_lately(each.name, context, observed, now)) for each in found]


def _failed_lately(
    name: str, context: Context, observed: Iterable[BanditObservation], now: float
) -> str:
    for each in observed:
        if (
            each.scheduler == name
            and each.kind is ObservationKind.VERDICT
            and not each.kept
            and now - each.at < RECENT_S
            and worth(each.found_by, context.wanted) == 1
            and likeness(context, each.tags or (), each.figures, each.workload) >= SUCH
        ):
            return "failed on such a workload within the hour"
    return ""


def episodes_like(evidence: Iterable[VerdictEvidence], context: Context) -> int:
    """How often such a workload was met."""
    return len(
        {
            each.episode
            for each in evidence
            if likeness(context, each.tags, each.figures, each.workload) >= SUCH
        }
    )


def belief_view(option: TrialOption, failed: str = "") -> BeliefView:
    """One belief for the API; `failed` is the reason why it may not be tried now."""
    held = option.belief
    return BeliefView(
        scheduler=option.name,
        kind=option.kind.value,
        policy=option.policy,
        parameters=dict(option.parameters),
        prior=round(held.prior, 4),
        mean=held.mean,
        deviation=held.deviation,
        low=held.low,
        high=held.high,
        chance=held.chance(),
        observations=held.observations,
        kept=held.kept,
        failures=held.failures,
        weight=round(held.weight, 3),
        why=why(held),
        refused=option.refused or failed,
        warned=option.warned,
    )


def moved_by(name: str, moves: list[Move]) -> str:
    """The last change of a weight, and its cause; in a sentence."""
    for each in moves:
        by = each.moved.get(name, 0.0)
        if abs(by) >= LEAST_MOVE:
            came = "was kept" if each.kept else "was rolled back"
            return f"{by:+.3f} when {each.scheduler} {came} ({each.trial})"
    return "nothing yet"
