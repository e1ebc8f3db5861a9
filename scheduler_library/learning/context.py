# SPDX-License-Identifier: GPL-2.0-only
"""How alike two workloads are, for whoever learns from one about the other. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler_library.profile import Tag

# The figures of a profile that say how a workload runs, whatever machine it runs on.
TELLING = ("mean_burst_us", "wakeups_per_s", "cpus_used", "involuntary_ratio")
# Two figures that differ by this factor are as good as of different workloads.
FAR_FACTOR = 8.0
# What figures may take away from tags that are the same: tags are made of them, and coarser.
FIGURES_PART = 0.5
# The same workload under another load may lose a tag or two, and is still itself; another one
# with the same tags may still be another matter.
SAME_WORKLOAD_FLOOR = 0.8
OTHER_WORKLOAD_CEILING = 0.7
# Two workloads are "such" ones from this likeness on.
SUCH = 0.6
# These say already what counts for a workload; a complaint about delays adds nothing then.
_TELLING_TAGS = {Tag.LATENCY_SENSITIVE, Tag.BATCH, Tag.CPU_BOUND}


@dataclass(frozen=True)
class Context:
    """A workload as the bandit sees it. `tags` may hold what was inferred besides; `measured`
    are those that its figures gave, which outcomes are recorded with."""

    tags: tuple[str, ...]
    measured: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    workload: str = ""


def similarity(one: Iterable[str], other: Iterable[str]) -> float:
    """Jaccard index of two sets of tags, 0 to 1; two empty sets are alike."""
    left, right = set(one), set(other)
    if not left and not right:
        return 1.0
    return len(left & right) / len(left | right)


def closeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How close the telling figures are, 0 to 1: the mean over those that both have of a
    triangular kernel on the logarithm of their ratio. Without a common figure 1."""
    found = []
    for name in TELLING:
        left, right = one.get(name, 0.0), other.get(name, 0.0)
        if left > 0 and right > 0:
            found.append(max(0.0, 1 - abs(math.log(left / right)) / math.log(FAR_FACTOR)))
    return sum(found) / len(found) if found else 1.0


def likeness(
    context: Context, tags: Iterable[str], figures: Mapping[str, float], workload: str = ""
) -> float:
    """How much an observation on a workload with these tags and figures tells about this one.

    The tags' Jaccard index, at most halved by figures that are far apart. An observation on the
    very same workload counts for no less than `SAME_WORKLOAD_FLOOR`, one on another for no more
    than `OTHER_WORKLOAD_CEILING`.
    """
    then = tuple(tags)
    # What is only inferred of this workload may be missing in what was recorded then.
    alike = max(similarity(context.tags, then), similarity(context.measured or context.tags, then))
    if alike and figures:
        alike *= 1 - FIGURES_PART * (1 - closeness(context.figures, figures))
    if workload and context.workload:
        same = workload == context.workload
        return max(alike, SAME_WORKLOAD_FLOOR) if same else min(alike, OTHER_WORKLOAD_CEILING)
    return alike


def wanted_tags(tags: Iterable[str], complaint: str) -> tuple[str, ...]:
    """The measured tags, and `latency-sensitive` where delays are what was complained about.

    Measured tags are about how a workload runs, and on a slow or crowded machine a service may
    not look like one. What is declared, or was found degraded, says what it is for. A workload
    that is batch by its figures stays that.
    """
    measured = tuple(tags)
    if _TELLING_TAGS & set(measured) or not re.search(r"delay|latency|p9\d", complaint):
        return measured
    return (*measured, Tag.LATENCY_SENSITIVE.value)
