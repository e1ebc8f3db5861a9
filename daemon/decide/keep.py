# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of a kept scheduler after the daemon, or the machine, has started again.

`decide` is asked at the start, and again whenever a reason to wait may be gone. It never answers
`put-back` or `trial` before the gates have passed the scheduler in this run of the daemon, and it
treats a scheduler that a rollback, a person or a quarantine ended as gone for good.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from daemon.api.models import Autonomy, Limitation
from daemon.decide.settings import LimitSettings
from daemon.decide.words import duration

# So many times within this time, seconds, a kept scheduler is put back without a pause; after that
# the pause doubles each time. A daemon that dies of what it puts back must not do so in a loop.
FREE_RESTORES = 2
RESTORES_WITHIN_S = 600.0
# A kept scheduler under which the machine went down this many times in a row is given up.
MOST_CRASHES = 2


class AfterReboot(StrEnum):
    """What the operator wants after a reboot: a fresh trial, the scheduler at once, or neither."""

    TRIAL = "trial"
    LOAD = "load"
    NO = "no"


class KeptAction(StrEnum):
    """What to do with the kept scheduler.

    `prove`: pass it through the gates, then ask again. `wait`: the same question later. `forget`:
    it is no longer kept.
    """

    PROVE = "prove"
    PUT_BACK = "put-back"
    TRIAL = "trial"
    WAIT = "wait"
    FORGET = "forget"


@dataclass(frozen=True, slots=True)
class KeptProof:
    """The gates' answer in this run. `refused`: why they did not pass it, empty if they did.
    `hindered`: why they could not do their work. `same_candidate`: its source and parameters are
    those that were kept; `same_object`: what was built of them is, too.
    """

    refused: str = ""
    hindered: str = ""
    same_candidate: bool = True
    same_object: bool = True


@dataclass(frozen=True, slots=True)
class KeptFacts:
    """The situation in which a kept scheduler is found.

    `same_boot`: the machine has not been booted since it last ran; `same_kernel`: this kernel has
    the same version and types. `crashes`: how often in a row the machine went down under it.
    `by_hand`: a person's trial kept it, which the daemon's autonomy does not limit. `loaded`: our
    scheduler in the kernel, `foreign`: somebody else's. `quarantined`: the reason, if it is.
    `baseline`: whether its workload was seen for long enough to compare it with.
    """

    same_boot: bool = True
    same_kernel: bool = True
    crashes: int = 0
    by_hand: bool = False
    supported: bool = True
    autonomy: Autonomy = Autonomy.AUTO
    quarantined: str = ""
    foreign: str = ""
    loaded: str = ""
    busy: str = ""
    advice_only: Limitation | None = None
    cooldown: Limitation | None = None
    pause: Limitation | None = None
    proof: KeptProof | None = None
    workload: str = ""
    baseline: bool = True


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """`until`: when waiting ends, Unix seconds; 0 if that is not known."""

    action: KeptAction
    reason: str
    until: float = 0.0


def decide(facts: KeptFacts, after_reboot: AfterReboot) -> KeptDecision:
    """What to do with a kept scheduler now, and why."""
    gone = _gone(facts, after_reboot)
    if gone:
        return KeptDecision(KeptAction.FORGET, gone)
    hindrance = _hindrance(facts)
    if hindrance:
        return _waiting(hindrance)
    proof = facts.proof
    if proof is None:
        return KeptDecision(
            KeptAction.PROVE,
            "the gates pass it again"
            if facts.same_kernel
            else "this is another kernel, so it is proven anew",
        )
    if proof.hindered:
        return _waiting(f"it could not be proven: {proof.hindered}")
    if proof.refused:
        return KeptDecision(KeptAction.FORGET, f"it is not proven any more: {proof.refused}")
    tried = _tried(facts, proof, after_reboot)
    if not tried:
        return KeptDecision(KeptAction.PUT_BACK, _why_back(facts))
    if facts.autonomy is Autonomy.OBSERVE:
        return _waiting(
            f"{tried}; it would be tried, and with autonomy `observe` the daemon tries nothing"
        )
    if facts.cooldown:
        return _waiting(facts.cooldown)
    if not facts.baseline:
        return _waiting(
            f"{tried}; its trial waits until {facts.workload or 'the machine'} has been seen for "
            "long enough to compare with"
        )
    return KeptDecision(KeptAction.TRIAL, tried)


def restore_pause(
    restored: Iterable[float], now: float, settings: LimitSettings
) -> Limitation | None:
    """Why a kept scheduler is not put back yet, if so: that happened often lately.

    Args:
        restored: the times when one was put back, Unix seconds.
    """
    recent = sorted(at for at in restored if now - RESTORES_WITHIN_S < at <= now)
    more = len(recent) - FREE_RESTORES
    if more < 0:
        return None
    span = min(settings.cooldown_s * 2.0 ** min(more, 30), RESTORES_WITHIN_S)
    until = recent[-1] + span
    if now >= until:
        return None
    return Limitation(
        reason=f"a kept scheduler was put back {len(recent)} times within "
        f"{duration(RESTORES_WITHIN_S)}",
        until=until,
    )


def _gone(facts: KeptFacts, after_reboot: AfterReboot) -> str:
    """Why it is not kept any more, if so."""
    if facts.quarantined:
        return f"it is in quarantine: {facts.quarantined}"
    if facts.same_boot:
        return ""
    if facts.crashes >= MOST_CRASHES:
        return f"the machine went down {facts.crashes} times in a row while it ran"
    if after_reboot is AfterReboot.NO:
        return 'the machine was booted again, and `[keep] after_reboot` is "no"'
    return ""


def _hindrance(facts: KeptFacts) -> Limitation | str | None:
    """Why nothing can be done with it now, if so."""
    if not facts.supported:
        return "this kernel has no sched_ext"
    if facts.autonomy is Autonomy.OBSERVE and not facts.by_hand:
        return "with autonomy `observe` the daemon loads nothing by itself"
    if facts.foreign:
        return f"{facts.foreign} is in the kernel, and schedpilot did not load it"
    if facts.loaded:
        return f"{facts.loaded} runs now"
    return facts.busy or facts.advice_only or facts.pause


def _tried(facts: KeptFacts, proof: KeptProof, after_reboot: AfterReboot) -> str:
    """Why a trial has to decide about it again; empty if it can be put back."""
    if facts.same_boot and facts.same_kernel:
        return _another(proof)
    booted = _booted(facts)
    if after_reboot is AfterReboot.TRIAL:
        return booted
    if facts.crashes:
        return f"{booted}, and the machine had gone down while it ran"
    # For another kernel another object is built, as a rule.
    another = _another(proof) if facts.same_kernel or not proof.same_candidate else ""
    return f"{booted}, and {another}" if another else ""


def _another(proof: KeptProof) -> str:
    """How what the gates passed differs from what was kept."""
    if not proof.same_candidate:
        return "its source is not the one that was kept"
    return "" if proof.same_object else "what was built is not the object that was kept"


def _booted(facts: KeptFacts) -> str:
    if facts.same_boot:
        return "the kernel is another one"
    if facts.same_kernel:
        return "the machine was booted again"
    return "the machine was booted with another kernel, for which the gates passed it anew"


def _why_back(facts: KeptFacts) -> str:
    if facts.same_boot and facts.same_kernel:
        return "it was kept before; kernel and object are the same, and the gates pass it"
    return f'{_booted(facts)}, and `[keep] after_reboot` is "load"'


def _waiting(why: Limitation | str) -> KeptDecision:
    if isinstance(why, Limitation):
        return KeptDecision(KeptAction.WAIT, why.reason, why.until)
    return KeptDecision(KeptAction.WAIT, why)
