# SPDX-License-Identifier: GPL-2.0-or-later
"""The similarity of two workloads, for learning from one about the other. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler_library.learning.leading_metric import LeadingMetric
from scheduler_library.profile import PURPOSES, Tag, told
from scheduler_library.purpose import Purpose, purpose_of

# The figures of a profile that characterise a workload on any machine.
TELLING = ("mean_burst_us", "wakeups_per_s", "cpus_used", "involuntary_ratio")
# Two figures that differ by this factor count as those of different workloads.
FAR_FACTOR = 8.0
# How much figures may lower the similarity of equal tags: tags are derived from them, and coarser.
FIGURES_PART = 0.5
# The same workload under another load may lose a tag or two, and is still itself; another one with
# the same tags may still behave differently.
SAME_WORKLOAD_FLOOR = 0.8
OTHER_WORKLOAD_CEILING = 0.7
# Two workloads count as alike from this similarity on.
SUCH = 0.6
# These already say what counts for a workload; a complaint about delays then adds nothing.
_TELLING_TAGS = PURPOSES | {Tag.CPU_BOUND}
# Machines that some schedulers are made for, and others do not suit.
SMALL_MACHINE, LARGE_MACHINE = "small-machine", "large-machine"
SMALL_CPUS, LARGE_CPUS = 2, 16


@dataclass(frozen=True)
class Context:
    """A workload as the bandit sees it.

    Attributes:
        tags: its tags, possibly including inferred ones.
        measured: those with which outcomes are recorded.
        doubtful: those that count less.
        wanted: the figure that counts, if known.
    """

    tags: tuple[str, ...]
    measured: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    workload: str = ""
    doubtful: tuple[str, ...] = ()
    wanted: LeadingMetric = LeadingMetric.UNKNOWN

    @property
    def machine(self) -> tuple[str, ...]:
        """Tags of the machine.

        They choose a scheduler, and say nothing about how alike workloads are: all on one machine
        share them.
        """
        cpus, caches = self.figures.get("machine_cpus", 0), self.figures.get("machine_caches", 0)
        if caches > 1 or cpus >= LARGE_CPUS:
            return (LARGE_MACHINE,)
        return (SMALL_MACHINE,) if 0 < cpus <= SMALL_CPUS else ()

    @property
    def sure_purposes(self) -> tuple[str, ...]:
        """The tags that say for certain what counts for it."""
        return tuple(tag for tag in self.tags if tag in PURPOSES and tag not in self.doubtful)


def similarity(one: Iterable[str], other: Iterable[str]) -> float:
    """Jaccard index of two sets of tags, 0 to 1; two empty sets are alike."""
    left, right = set(one), set(other)
    if not left and not right:
        return 1.0
    return len(left & right) / len(left | right)


def closeness(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """How close the characteristic figures are, 0 to 1: the mean of a triangular kernel on the
    logarithm of their ratio, over the figures that both have. 1 without a common figure.
    """
    found = []
    for name in TELLING:
        left, right = one.get(name, 0.0), other.get(name, 0.0)
        if left > 0 and right > 0:
            found.append(max(0.0, 1 - abs(math.log(left / right)) / math.log(FAR_FACTOR)))
    return sum(found) / len(found) if found else 1.0


def likeness(
    context: Context, tags: Iterable[str], figures: Mapping[str, float], workload: str = ""
) -> float:
    """How much an observation on a workload with these tags and figures says about this one.

    The tags' Jaccard index, at most halved by figures that are far apart. An observation on the
    very same workload counts for no less than `SAME_WORKLOAD_FLOOR`, one on another for no more
    than `OTHER_WORKLOAD_CEILING`.
    """
    then = tuple(tags)
    # Tags that are only inferred for this workload may be missing from the earlier record.
    alike = max(similarity(context.tags, then), similarity(context.measured or context.tags, then))
    if alike and figures:
        alike *= 1 - FIGURES_PART * (1 - closeness(context.figures, figures))
    if workload and context.workload:
        same = workload == context.workload
        return max(alike, SAME_WORKLOAD_FLOOR) if same else min(alike, OTHER_WORKLOAD_CEILING)
    return alike


def wanted_tags(
    tags: Iterable[str], complaint: str, doubtful: Iterable[str] = ()
) -> tuple[str, ...]:
    """The tags of a workload, plus what a complaint reveals about the figure that counts.

    A declared objective (`latency p99`, `measurement NAME lower`) counts as it says. A rise of
    delays that was detected means that the workload used to sleep: it is `latency-sensitive`,
    unless a certain tag says that something else counts for it.
    """
    known = tuple(tags)
    purpose = purpose_of(complaint)
    if purpose is None:
        sure = set(known) - set(doubtful)
        if _TELLING_TAGS & sure or not re.search(r"delay|latency|p9\d", complaint):
            return known
        purpose = Purpose.LATENCY
    elif purpose is Purpose.LATENCY and Tag.LATENCY_SENSITIVE in known:
        return known
    return with_purpose(known, purpose)


def with_purpose(tags: Iterable[str], purpose: Purpose) -> tuple[str, ...]:
    """The tags of a workload for which somebody said what counts."""
    known = tuple(tags)
    wanted = told((each for each in known if each in set(Tag)), purpose)
    kept = tuple(each for each in known if each in wanted or each not in set(Tag))
    return kept + tuple(tag.value for tag in Tag if tag in wanted and tag not in kept)
