# SPDX-License-Identifier: GPL-2.0-or-later
"""A contextual bandit over schedulers: the belief about each, and the choice. Pure.

Each arm's gain on a workload is modelled as normal. The prior comes from the words that the
manifest and the workload share; each verdict is an observation with known noise, weighted by the
similarity of the workloads, by age and by parameters (the normal conjugate update: Gelman et al.,
Bayesian Data Analysis, 3rd ed., 2.5). The choice is Thompson sampling (Thompson 1933; Agrawal and
Goyal 2013 for the contextual case): one draw from each posterior, the largest first.
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler_library.learning.context import SUCH, Context, likeness
from scheduler_library.learning.leading_metric import LeadingMetric, worth
from scheduler_library.parameters import Value

# The value of a profile's tag if a manifest's `good_for` has it: the expected gain before any
# measurement. Tags that say what counts for a workload (its delays, the order of its jobs) weigh
# more than tags for its current behaviour.
WORTH = {
    # Measured: running requests to their end instead makes twice as many (docs/benchmarks.md).
    "cut-short": 0.40,
    "uneven-jobs": 0.30,
    "latency-sensitive": 0.15,
    "migration-heavy": 0.12,
    "interactive": 0.10,
    "batch": 0.10,
    "fork-heavy": 0.08,
    # Crowding says who suffers, and alone chooses nothing.
    "overcommitted": 0.02,
    "contended": 0.02,
    "idle": 0.0,
}
USUAL_WORTH = 0.05
# The factor for evidence that was measured while the workload was starved, or that contradicts what
# is known of it.
DOUBT_FACTOR = 0.5
# `bad_for` weighs more than `good_for`: a warning in a manifest usually comes from bad experience.
BAD_FACTOR = -1.5
# A scheduler's own `tags` describe it, which only hints at what it is good for.
TAG_FACTOR = 0.2
# Standard deviation of a scheduler's true gain around its prior: wide enough that one trial with a
# clear answer outweighs the best page.
PRIOR_DEVIATION = 0.07
# Standard deviation of one trial's measured gain around the true one on such a workload; if a
# verdict's own interval is wider, that counts.
NOISE_DEVIATION = 0.04
# One measured gain counts at most this much: a ratio of two small numbers can be anything.
LARGEST_GAIN = 0.5
# The cost of a trial that ended in a rollback to everybody on the machine, as gain.
ROLLBACK_COST = 0.02
# The gain that counts for something that did not reach a verdict.
GAIN_OF_FAILURE = {"gate": -0.08, "quarantine": -0.25}
# The factor for an observation made with other parameters, or of the same line with another name in
# it.
OTHER_PARAMETERS_WEIGHT = 0.6
OTHER_NAME_WEIGHT = 0.7
# All observations on other workloads together count as at most half of one on this workload: the
# difference between workloads does not average out (a random effect).
MOST_OF_OTHERS = 0.5
# Kernels, services and neighbours change: an outcome loses half its weight in this time; a failure
# sooner, because failures get fixed.
HALF_LIFE_S = 30 * 24 * 3600.0
FAILURE_HALF_LIFE_S = 7 * 24 * 3600.0
# Observations with less weight are left out.
LEAST_WEIGHT = 0.05
# 95 % of a normal distribution lie within this many deviations.
WITHIN_95 = 1.96


class ObservationKind(StrEnum):
    """What was observed: a verdict, a gate that stopped it, or an ejection by the kernel."""

    VERDICT = "verdict"
    GATE = "gate"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class BanditObservation:
    """One outcome of a scheduler. `tags` None: it holds for all workloads alike.

    `deviation` is the measured gain's, from its own interval, 0 if unknown. `found_by`: the figure
    that decided.
    """

    scheduler: str
    at: float
    kind: ObservationKind = ObservationKind.VERDICT
    gain: float = 0.0
    deviation: float = 0.0
    kept: bool = False
    parameters: Mapping[str, Value] = field(default_factory=dict)
    shape: str = ""
    tags: tuple[str, ...] | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    workload: str = ""
    reason: str = ""
    found_by: LeadingMetric = LeadingMetric.UNKNOWN

    @property
    def effective_gain(self) -> float:
        """The gain that it suggests for trying, bounded."""
        if self.kind is not ObservationKind.VERDICT:
            return GAIN_OF_FAILURE[self.kind.value]
        gain = max(-LARGEST_GAIN, min(LARGEST_GAIN, self.gain))
        return gain if self.kept else min(gain, 0.0) - ROLLBACK_COST


@dataclass(frozen=True)
class BanditArm:
    """An option to try, with everything that matters for the choice."""

    name: str
    good_for: tuple[str, ...] = ()
    bad_for: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    shape: str = ""
    # 1 for carefully made and measured ones, less for an untried line.
    trust: float = 1.0


@dataclass(frozen=True)
class Belief:
    """The posterior of one arm's gain: normal with this mean and deviation."""

    prior: float
    mean: float
    deviation: float
    observations: int = 0
    kept: int = 0
    failures: int = 0
    weight: float = 0.0
    words: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    # Whether it was kept on such a workload: our own evidence, stronger than any page.
    proven: bool = False
    # The number of observations that were judged by run-queue delay, and so count little.
    outdated: int = 0

    @property
    def low(self) -> float:
        return self.mean - WITHIN_95 * self.deviation

    @property
    def high(self) -> float:
        return self.mean + WITHIN_95 * self.deviation

    def chance(self, of: float = 0.0) -> float:
        """The probability that the gain is larger than `of`."""
        return 0.5 * math.erfc((of - self.mean) / (self.deviation * math.sqrt(2)))


def matches(tags: Iterable[str], phrases: Iterable[str]) -> tuple[str, ...]:
    """The tags that equal a phrase, or of which it contains every word, in the order of `tags`."""
    exact = set(phrases)
    words = [set(re.findall(r"[a-z0-9]+", phrase.lower())) for phrase in exact]

    def met(tag: str) -> bool:
        parts = set(re.findall(r"[a-z0-9]+", tag.lower()))
        return tag in exact or any(parts and parts <= phrase for phrase in words)

    return tuple(tag for tag in tags if met(tag))


def _worth(tags: Iterable[str], doubtful: Iterable[str] = ()) -> float:
    doubted = set(doubtful)
    return sum(
        WORTH.get(tag, USUAL_WORTH) * (DOUBT_FACTOR if tag in doubted else 1.0) for tag in tags
    )


def aged(at: float, now: float, kind: ObservationKind) -> float:
    """The fraction of an observation's weight that remains."""
    half_life_s = HALF_LIFE_S if kind is ObservationKind.VERDICT else FAILURE_HALF_LIFE_S
    return float(0.5 ** (max(0.0, now - at) / half_life_s))


def relevance(arm: BanditArm, context: Context, observed: BanditObservation, now: float) -> float:
    """The weight of an observation, 0 to 1: for this arm, on this workload, now."""
    weight = 1.0
    if observed.scheduler != arm.name:
        if not arm.shape or observed.shape != arm.shape:
            return 0.0
        weight *= OTHER_NAME_WEIGHT
    if observed.tags is not None:
        weight *= likeness(context, observed.tags, observed.figures, observed.workload)
    if dict(observed.parameters) != dict(arm.parameters):
        weight *= OTHER_PARAMETERS_WEIGHT
    weight *= aged(observed.at, now, observed.kind)
    weight *= worth(observed.found_by, context.wanted)
    return weight if weight >= LEAST_WEIGHT else 0.0


def _elsewhere(context: Context, observed: BanditObservation) -> bool:
    """Whether an observation is known to be of another workload."""
    return bool(observed.workload and context.workload and observed.workload != context.workload)


def believe(
    arm: BanditArm, context: Context, observed: Iterable[BanditObservation], now: float
) -> Belief:
    """The posterior of an arm on a workload.

    With prior N(m, s²) and observations x_i of noise n_i and weight w_i: precision p = 1/s² + Σ
    w_i/n_i², mean (m/s² + Σ w_i x_i/n_i²) / p. The weights of observations on other workloads are
    scaled down to `MOST_OF_OTHERS` if their sum is larger.
    """
    tags, doubtful = context.tags + context.machine, context.doubtful
    good = matches(tags, arm.good_for)
    bad = matches(tags, arm.bad_for)
    plain = tuple(tag for tag in matches(tags, arm.tags) if tag not in good)
    prior = arm.trust * (_worth(good, doubtful) + TAG_FACTOR * _worth(plain, doubtful))
    prior += BAD_FACTOR * _worth(bad, doubtful)
    precision = PRIOR_DEVIATION**-2
    weighted = prior * precision
    counts = [(each, relevance(arm, context, each, now)) for each in observed]
    others = sum(weight for each, weight in counts if _elsewhere(context, each))
    scale = min(1.0, MOST_OF_OTHERS / others) if others else 1.0
    total, counted, kept, failures, outdated, proven = 0.0, 0, 0, 0, 0, False
    for each, relevant in counts:
        if not relevant:
            continue
        weight = relevant * scale if _elsewhere(context, each) else relevant
        sure = weight * max(NOISE_DEVIATION, each.deviation) ** -2
        precision += sure
        weighted += sure * each.effective_gain
        total += weight
        counted += 1
        kept += each.kept
        outdated += worth(each.found_by, context.wanted) < 1
        proven = proven or (each.kept and _such(context, each))
        failures += each.kind is not ObservationKind.VERDICT
    return Belief(
        prior=prior,
        mean=weighted / precision,
        deviation=precision**-0.5,
        observations=counted,
        kept=kept,
        failures=failures,
        outdated=outdated,
        weight=total,
        words=good + plain,
        against=bad,
        proven=proven,
    )


def _such(context: Context, observed: BanditObservation) -> bool:
    """Whether it is about such a workload, by a figure that says something about it."""
    if worth(observed.found_by, context.wanted) < 1:
        return False
    return likeness(context, observed.tags or (), observed.figures, observed.workload) >= SUCH


def warning(belief: Belief, context: Context) -> str:
    """Why nobody should try this on their own initiative, or "": its page calls it bad for this
    workload's figure, and no measurement here contradicts that.
    """
    against = [tag for tag in belief.against if tag in context.sure_purposes + context.machine]
    if not against or belief.proven:
        return ""
    return (
        f"its page calls it bad for {', '.join(against)}, and nothing measured here says otherwise"
    )


def draw(seed: str, name: str, mean: float, deviation: float) -> float:
    """One draw from a posterior, the same for the same seed and name."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    # This needs reproducibility, not secrecy.
    return random.Random(digest).gauss(mean, deviation)  # noqa: S311
