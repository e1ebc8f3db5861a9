# SPDX-License-Identifier: GPL-2.0-or-later
"""How alike two workloads are, for whoever learns from one about the other. Pure."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scheduler_library.learning.yardstick import Yardstick
from scheduler_library.profile import PURPOSES, Tag, told
from scheduler_library.purpose import Purpose, purpose_of

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
_TELLING_TAGS = PURPOSES | {Tag.CPU_BOUND}
# Machines that some schedulers are made for, and others are wrong on.
SMALL_MACHINE, LARGE_MACHINE = "small-machine", "large-machine"
SMALL_CPUS, LARGE_CPUS = 2, 16


@dataclass(frozen=True)
class Context:
    """A workload as the bandit sees it.

    Attributes:
        tags: what it is like; they may hold what was inferred besides.
        measured: those that outcomes are recorded with.
        doubtful: those that count for less.
        wanted: by what is judged, where that is known.
    """

    tags: tuple[str, ...]
    measured: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    workload: str = ""
    doubtful: tuple[str, ...] = ()
    wanted: Yardstick = Yardstick.UNKNOWN

    @property
    def machine(self) -> tuple[str, ...]:
        """Words for the machine. They choose a scheduler, and say nothing of how alike workloads
        are: all of a machine have them in common."""
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


def wanted_tags(
    tags: Iterable[str], complaint: str, doubtful: Iterable[str] = ()
) -> tuple[str, ...]:
    """The tags of a workload, with what a complaint says of what counts for it.

    An objective (`latency p99`, `measurement NAME lower`) was declared: what it says, counts. A
    rise of delays that was found by itself says that the workload used to sleep: it is
    `latency-sensitive`, unless its tags say, without doubt, that something else counts for it.
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
