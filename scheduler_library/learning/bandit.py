# SPDX-License-Identifier: GPL-2.0-or-later
"""A contextual bandit over schedulers: what is believed of each, and the choice. Pure.

Each arm's gain on a workload is believed to be normal. The prior comes from the words that the
manifest and the workload have in common; each verdict is an observation with known noise, weighted
by how alike the workloads are, by age and by parameters (the normal conjugate update: Gelman et
al., Bayesian Data Analysis, 3rd ed., 2.5). The choice is Thompson sampling (Thompson 1933;
Agrawal and Goyal 2013 for the contextual case): one draw from each posterior, the largest first.
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler_library.learning.context import SUCH, Context, likeness
from scheduler_library.learning.yardstick import Yardstick, worth
from scheduler_library.parameters import Value

# What a tag of the profile is worth where a manifest's `good_for` has it: the gain expected
# before anything was measured. Tags that say what counts for a workload (its delays, the order
# of its jobs) weigh more than tags that say how it happens to be.
WORTH = {
    # Measured: what runs to its end instead makes twice as many requests (docs/benchmarks.md).
    "cut-short": 0.40,
    "uneven-jobs": 0.30,
    "latency-sensitive": 0.15,
    "migration-heavy": 0.12,
    "interactive": 0.10,
    "batch": 0.10,
    "fork-heavy": 0.08,
    # How crowded it is says for whom it is hard, and chooses nothing alone.
    "overcommitted": 0.02,
    "contended": 0.02,
    "idle": 0.0,
}
USUAL_WORTH = 0.05
# What was measured while the workload was starved, or speaks against what is known of it, counts so
# much.
DOUBT_FACTOR = 0.5
# `bad_for` weighs more than `good_for`: a warning in a manifest was usually paid for.
BAD_FACTOR = -1.5
# A scheduler's own `tags` say what it is, which only hints at what it is good for.
TAG_FACTOR = 0.2
# Standard deviation of a scheduler's true gain around its prior: wide enough that one trial with a
# clear answer outweighs the best page.
PRIOR_DEVIATION = 0.07
# Standard deviation of one trial's measured gain around the true one on such a workload; a
# verdict whose own interval is wider counts with that.
NOISE_DEVIATION = 0.04
# One measured gain counts at most this much: a ratio of two small numbers can be anything.
LARGEST_GAIN = 0.5
# What a trial that ended in a rollback cost everybody on the machine, as gain.
ROLLBACK_COST = 0.02
# What something that did not get as far as a verdict counts as.
GAIN_OF_FAILURE = {"gate": -0.08, "quarantine": -0.25}
# An observation made with other parameters, or of the same line with another name in it, tells
# less about this.
OTHER_PARAMETERS_WEIGHT = 0.6
OTHER_NAME_WEIGHT = 0.7
# However much was observed on other workloads, together it counts as half of one on this one:
# the difference between workloads does not average out (a random effect).
MOST_OF_OTHERS = 0.5
# Kernels, services and neighbours change: an outcome loses half its weight in this time; a
# failure sooner, since what failed is mended.
HALF_LIFE_S = 30 * 24 * 3600.0
FAILURE_HALF_LIFE_S = 7 * 24 * 3600.0
# What weighs less than this is left out.
LEAST_WEIGHT = 0.05
# 95 % of a normal distribution lie within so many deviations.
WITHIN_95 = 1.96


class Kind(StrEnum):
    """What was observed: a verdict, a gate that stopped it, or the kernel that threw it out."""

    VERDICT = "verdict"
    GATE = "gate"
    QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Observation:
    """One thing that happened to a scheduler. `tags` None: it holds for all workloads alike.

    `deviation` is that of the measured gain by its own interval, 0 where that is not known.
    `found_by`: what it was judged by.
    """

    scheduler: str
    at: float
    kind: Kind = Kind.VERDICT
    gain: float = 0.0
    deviation: float = 0.0
    kept: bool = False
    parameters: Mapping[str, Value] = field(default_factory=dict)
    shape: str = ""
    tags: tuple[str, ...] | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    workload: str = ""
    reason: str = ""
    found_by: Yardstick = Yardstick.UNKNOWN

    @property
    def effective_gain(self) -> float:
        """What it says about the gain of trying, bounded."""
        if self.kind is not Kind.VERDICT:
            return GAIN_OF_FAILURE[self.kind.value]
        gain = max(-LARGEST_GAIN, min(LARGEST_GAIN, self.gain))
        return gain if self.kept else min(gain, 0.0) - ROLLBACK_COST


@dataclass(frozen=True)
class Arm:
    """Something that can be tried, as far as a choice depends on it."""

    name: str
    good_for: tuple[str, ...] = ()
    bad_for: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Value] = field(default_factory=dict)
    shape: str = ""
    # 1 for what was made and measured with care, less for a line that nobody tried.
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
    # Whether it was kept on such a workload: evidence of one's own, stronger than any page.
    proven: bool = False
    # Of the observations, those that were judged by run-queue delay, and so count for little.
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
    """The tags that a phrase is, or of which it has every word, in the order of `tags`."""
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


def aged(at: float, now: float, kind: Kind) -> float:
    """What is left of an observation's weight."""
    half_life_s = HALF_LIFE_S if kind is Kind.VERDICT else FAILURE_HALF_LIFE_S
    return float(0.5 ** (max(0.0, now - at) / half_life_s))


def relevance(arm: Arm, context: Context, observed: Observation, now: float) -> float:
    """What an observation counts for, 0 to 1: for this arm, on this workload, now."""
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


def _elsewhere(context: Context, observed: Observation) -> bool:
    """Whether an observation is known to be of another workload."""
    return bool(observed.workload and context.workload and observed.workload != context.workload)


def believe(arm: Arm, context: Context, observed: Iterable[Observation], now: float) -> Belief:
    """The posterior of an arm on a workload.

    With prior N(m, s²) and observations x_i of noise n_i and weight w_i: precision
    p = 1/s² + Σ w_i/n_i², mean (m/s² + Σ w_i x_i/n_i²) / p. The weights of observations on other
    workloads are scaled down to `MOST_OF_OTHERS` where they are more together.
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
        failures += each.kind is not Kind.VERDICT
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


def _such(context: Context, observed: Observation) -> bool:
    """Whether it is about such a workload, by a yardstick that says something of it."""
    if worth(observed.found_by, context.wanted) < 1:
        return False
    return likeness(context, observed.tags or (), observed.figures, observed.workload) >= SUCH


def warning(belief: Belief, context: Context) -> str:
    """Why nobody should try this by their own idea, or nothing: its page calls it bad for what
    counts for the workload, and nothing that was measured here says otherwise."""
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
