# SPDX-License-Identifier: GPL-2.0-or-later
"""The weight of each kind of evidence in a search, adjusted by results. Pure.

The normalised exponentiated gradient (Kivinen and Warmuth, "Exponentiated gradient versus gradient
descent for linear predictors", Information and Computation 132, 1997) on the logistic loss of "the
tried candidate will be kept". The weights are positive and sum to 1, so that none can run away;
each step mixes in a fraction of the prior (the fixed share of Herbster and Warmuth, "Tracking the
best expert", Machine Learning 32, 1998), so that no weight is ever lost and old lessons fade.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

# The evidence that a search uses, and each kind's weight before anything was learned.
WORDS, TAGS, MEASURED, TOLD = "words", "tags", "measured", "told"
PRIOR: Mapping[str, float] = MappingProxyType({WORDS: 0.35, TAGS: 0.35, MEASURED: 0.2, TOLD: 0.1})
MEANING: Mapping[str, str] = MappingProxyType(
    {
        WORDS: "the description matches the words asked for",
        TAGS: "its tags match the workload's",
        MEASURED: "it won, or lost, on workloads like this",
        TOLD: "lessons and history speak of it in such words",
    }
)
# How far one outcome moves the weights.
RATE = 0.6
# Steepness of the chance of a keep over the difference in score from the average entry.
STEEPNESS = 4.0
# Fraction of the prior in each step.
SHARE = 0.02
LEAST, MOST = 0.03, 0.8

Features = Mapping[str, float]


@dataclass(frozen=True)
class WeightAdjustment:
    """One adjustment: the weights after it, and how far each was moved."""

    weights: Mapping[str, float]
    moved: Mapping[str, float]
    expected: float


def total(weights: Mapping[str, float], features: Features) -> float:
    """The score of an entry; features are in -1 to 1."""
    return sum(weight * features.get(name, 0.0) for name, weight in weights.items())


def adjusted(
    weights: Mapping[str, float], tried: Features, all_entries: Sequence[Features], *, kept: bool
) -> WeightAdjustment:
    """The weights after one trial: the evidence that spoke for it more than for others counts more
    if it was kept, and less if it was not.

    With x = features of the tried entry minus the mean over all entries, p = σ(c·w·x) and y = 1 for
    a keep: w_i ← w_i · exp(η (y - p) c x_i), divided by their sum.
    """
    apart = {
        name: tried.get(name, 0.0)
        - sum(each.get(name, 0.0) for each in all_entries) / max(len(all_entries), 1)
        for name in weights
    }
    expected = 1 / (1 + math.exp(-STEEPNESS * total(weights, apart)))
    error = (1.0 if kept else 0.0) - expected
    raw = {
        name: weight * math.exp(RATE * error * STEEPNESS * apart[name] / len(weights))
        for name, weight in weights.items()
    }
    new = _bounded({name: (1 - SHARE) * value / sum(raw.values()) + SHARE * PRIOR.get(name, 0.0)
                    for name, value in raw.items()})  # fmt: skip
    return WeightAdjustment(new, {name: new[name] - weights[name] for name in weights}, expected)


def _bounded(weights: Mapping[str, float]) -> dict[str, float]:
    cut = {name: min(max(value, LEAST), MOST) for name, value in weights.items()}
    whole = sum(cut.values())
    return {name: value / whole for name, value in cut.items()}
