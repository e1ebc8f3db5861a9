# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload in figures, and in the few words by which schedulers are chosen.

Pure: figures and other knowledge in, tags out. The thresholds are only here, each with its reason.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from scheduler_library.purpose import Purpose, PurposeEvidence, PurposeSource

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Tag(StrEnum):
    """Words that profiles and manifests (`tags`, `good_for`, `bad_for`) share."""

    LATENCY_SENSITIVE = "latency-sensitive"
    INTERACTIVE = "interactive"
    SHORT_BURSTS = "short-bursts"
    LONG_BURSTS = "long-bursts"
    CUT_SHORT = "cut-short"
    CPU_BOUND = "cpu-bound"
    BATCH = "batch"
    THROUGHPUT = "throughput"
    MAKESPAN = "makespan"
    SERVICE = "service"
    MANY_THREADS = "many-threads"
    FORK_HEAVY = "fork-heavy"
    UNEVEN_JOBS = "uneven-jobs"
    MIGRATION_HEAVY = "migration-heavy"
    OVERCOMMITTED = "overcommitted"
    CONTENDED = "contended"
    IDLE = "idle"


MEANING: dict[Tag, str] = {
    Tag.LATENCY_SENSITIVE: "answers requests, most by short bursts and frequent wakeups",
    Tag.INTERACTIVE: "wakes now and then for a short while, as a person's program does",
    Tag.SHORT_BURSTS: "runs briefly between sleeps",
    Tag.LONG_BURSTS: "runs longer than a usual slice, and then sleeps by itself",
    Tag.CUT_SHORT: "is made to stop in the middle of long bursts for much of its response time: "
    "let it run to the end of each",
    Tag.CPU_BOUND: "hardly ever sleeps",
    Tag.BATCH: "long bursts; its throughput counts, not its delays",
    Tag.THROUGHPUT: "how much it gets done is what counts",
    Tag.MAKESPAN: "when all of it is done is what counts",
    Tag.SERVICE: "its program is known to answer requests of others",
    Tag.MANY_THREADS: "has far more threads than the machine has CPUs",
    Tag.FORK_HEAVY: "starts many processes a second",
    Tag.UNEVEN_JOBS: "consists of finite jobs of very different length",
    Tag.MIGRATION_HEAVY: "is moved between CPUs very often",
    Tag.OVERCOMMITTED: "runs on a machine with more runnable tasks than CPUs",
    Tag.CONTENDED: "is often made to stop although it has more to do",
    Tag.IDLE: "uses next to no CPU time",
}

# The goal of a workload.
PURPOSES = frozenset(
    {
        Tag.LATENCY_SENSITIVE,
        Tag.INTERACTIVE,
        Tag.BATCH,
        Tag.THROUGHPUT,
        Tag.MAKESPAN,
        Tag.SERVICE,
    }
)
# Its own behaviour, as long as nobody takes the CPU from it. The others describe its current state.
BEHAVIOUR = frozenset(
    {
        Tag.LATENCY_SENSITIVE,
        Tag.INTERACTIVE,
        Tag.SHORT_BURSTS,
        Tag.LONG_BURSTS,
        Tag.CPU_BOUND,
        Tag.BATCH,
    }
)
# These follow from the CPU time from sleep to sleep, however often it is interrupted.
_BURSTS = frozenset({Tag.SHORT_BURSTS, Tag.LONG_BURSTS})

# A burst is the CPU time of one activation: from a wakeup to the next sleep, with interruptions
# left out. A brief one fits well into the slice of every scheduler in common use (EEVDF's base
# slice is 2.8 ms on a small machine): a scheduler that knew it could always let it finish.
SHORT_BURST_US = 2_000.0
# From this length on a usual slice cuts it while others wait: the default's 2.8 ms end with the
# next tick, which comes every 4 ms on most kernels (HZ=250).
CUT_BURST_US = 4_000.0
# Bursts longer than the kernel's default slice for sched_ext (20 ms) end by the slice and not by
# themselves, and gain nothing from starting sooner.
LONG_BURST_US = 20_000.0
# Two of the longest slices that a policy can give (100 ms). A longer run cannot be let run to its
# end, and is work to share rather than a request to finish.
LET_RUN_US = 200_000.0
# Fraction of its CPU time in unfinished activations, up to which its bursts end by themselves …
MOST_UNENDED = 0.2
# … and from which on the finished ones are the smaller part, and say little about it.
MAINLY_UNENDED = 0.5
# Processes that end per activation: work that comes as processes is a batch of jobs.
JOB_RATIO = 0.1
# Fraction of the response time lost in the middle of bursts, from which on it is worth more than a
# trial's noise (a tenth), even if half of it cannot be regained.
CUT_SHARE = 0.2
# Minimum CPU time between two losses of the CPU, if the end of a slice takes it: EEVDF's slice is
# 0.7 ms on one CPU. A task that gets less gives way to waking ones.
BY_SLICE_US = 700.0
# A service under load wakes hundreds of times a second; a person's program some tens.
FREQUENT_WAKEUPS_PER_S = 50.0
SOME_WAKEUPS_PER_S = 1.0
# Share of one CPU per running thread, from which on it hardly sleeps.
CPU_BOUND_SHARE = 0.85
IDLE_SHARE = 0.005
# Threads per CPU of the machine.
MANY_THREADS_PER_CPU = 8.0
FORKS_PER_S = 20.0
# Fraction of all switches away from it that were involuntary.
INVOLUNTARY_RATIO = 0.5
# CPU time of the longest finished job, as a multiple of the median: one that takes as long as three
# others leaves a small machine half idle if it begins last.
UNEVEN_RATIO = 3.0
UNEVEN_LEAST_JOBS = 4
# Moved on every second wakeup: cached data is lost more often than not.
MIGRATION_RATIO = 0.5
OVERCOMMITTED_UTILISATION = 0.95


class WorkloadFigures(BaseModel):
    """The measurements of one workload over one period. Missing ones are zero or None.

    `cpus_used` is CPU time divided by wall time, so 1.0 is one CPU kept busy. Durations have their
    unit in the name; rates are per second of wall time. `machine_caches` is the number of its
    last-level caches, 0 if unknown.

    An activation is a thread's time from its wakeup to its next sleep. `mean_burst_us` and
    `burst_p50_us` are the CPU time of one, and half of its CPU time is in bursts of at least
    `burst_half_us`: a thread that hands out requests wakes as often as those that do the work.
    `response_…` is the duration of an activation with all waits, `completions_per_s` how many end;
    for an event loop both are per event. `waiting_share` and `preempted_share` are the fractions of
    an activation spent waiting after the wakeup and after losing the CPU. `unended_share` is the
    fraction of its CPU time in unfinished activations. Signals of an older program have none of
    these; then `mean_burst_us` is `slice_us`, the uninterrupted time on a CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Count = 0.0
    mean_burst_us: Count = 0.0
    burst_p50_us: Count = 0.0
    burst_half_us: Count = 0.0
    slice_us: Count = 0.0
    response_p50_us: Count = 0.0
    response_p99_us: Count = 0.0
    completions_per_s: Count = 0.0
    waiting_share: Share = 0.0
    preempted_share: Share = 0.0
    unended_share: Share = 0.0
    wakeups_per_s: Count = 0.0
    cpus_used: Count = 0.0
    threads: int = Field(default=0, ge=0)
    running_threads: Count = 0.0
    forks_per_s: Count = 0.0
    migrations_per_s: Count = 0.0
    involuntary_ratio: Share = 0.0
    delay_p50_us: Count = 0.0
    delay_p99_us: Count = 0.0
    jobs_finished: int = Field(default=0, ge=0)
    job_longest_ratio: Count = 0.0
    machine_cpus: int = Field(default=1, ge=1)
    machine_caches: int = Field(default=0, ge=0)
    machine_utilisation: Share = 0.0

    @property
    def by_activation(self) -> bool:
        """Whether bursts were measured from sleep to sleep, and not from switch to switch."""
        return self.completions_per_s > 0 or self.unended_share > 0

    @property
    def main_burst_us(self) -> float:
        """The burst length in which it mainly spends its CPU time."""
        return self.burst_half_us or self.mean_burst_us

    @property
    def uncut_us(self) -> float:
        """CPU time per involuntary switch; infinite if there are none."""
        stays = 1.0 - self.involuntary_ratio
        cuts_per_s = self.wakeups_per_s * self.involuntary_ratio / stays if stays > 0 else math.inf
        return 1e6 * self.cpus_used / cuts_per_s if cuts_per_s > 0 else math.inf

    @property
    def running_share(self) -> float:
        """The fraction of the mean response time that is CPU time: no order of waiting
        changes it.
        """
        return max(0.0, 1.0 - self.waiting_share - self.preempted_share)


class WorkloadProfile(BaseModel):
    """One workload as the library and the advisors see it.

    `id` and `name` come from the system (a cgroup, a command name) and are hostile text: whoever
    shows them escapes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=400)]
    name: Annotated[str, Field(max_length=400)] = ""
    figures: WorkloadFigures = WorkloadFigures()
    tags: tuple[Tag, ...] = ()

    @classmethod
    def measured(cls, id: str, figures: WorkloadFigures, name: str = "") -> "WorkloadProfile":
        """A profile whose tags follow from its figures."""
        return cls(id=id, name=name or id, figures=figures, tags=tags_of(figures))


def tags_of(figures: WorkloadFigures) -> tuple[Tag, ...]:
    """The words for these figures, in the order of `Tag`. Pure and total."""
    f = figures
    # CPU time per thread that runs at all; without that count, per thread, but for no more threads
    # than CPUs: a pool of a hundred threads is mostly asleep.
    busy = f.running_threads or min(f.threads or 1, f.machine_cpus)
    per_thread = f.cpus_used / busy if busy else 0.0
    idle = f.cpus_used < IDLE_SHARE and f.wakeups_per_s < SOME_WAKEUPS_PER_S
    burst_us = f.main_burst_us
    short = 0 < burst_us <= SHORT_BURST_US and not idle
    frequent = f.wakeups_per_s >= FREQUENT_WAKEUPS_PER_S
    ends = ends_by_itself(f) and not idle
    # Work that sleeps at the end of each piece is not a batch just because it is long, however full
    # it keeps the machine; work that comes as processes is.
    pieces = ends and f.forks_per_s < JOB_RATIO * f.completions_per_s
    bound = not pieces and (per_thread >= CPU_BOUND_SHARE or burst_us >= 5 * LONG_BURST_US)
    long = burst_us >= LONG_BURST_US and not pieces
    # On a full machine nobody gets a whole CPU: the signs then are that the scheduler ends its
    # bursts and it hardly ever wakes up.
    driven = (
        f.involuntary_ratio >= INVOLUNTARY_RATIO
        and not frequent
        and f.cpus_used > 0.1
        and not pieces
    )
    is_true = {
        Tag.LATENCY_SENSITIVE: short and frequent and not bound,
        Tag.INTERACTIVE: short and not frequent and f.wakeups_per_s >= SOME_WAKEUPS_PER_S,
        Tag.SHORT_BURSTS: short,
        Tag.LONG_BURSTS: ends,
        Tag.CUT_SHORT: ends and f.preempted_share >= CUT_SHARE,
        Tag.CPU_BOUND: not idle and not (short and frequent) and (bound or driven),
        Tag.BATCH: not idle and not short and (long or bound or driven),
        # No measurement shows these: somebody declares them.
        Tag.THROUGHPUT: False,
        Tag.MAKESPAN: False,
        Tag.SERVICE: False,
        Tag.MANY_THREADS: f.threads > MANY_THREADS_PER_CPU * f.machine_cpus,
        Tag.FORK_HEAVY: f.forks_per_s >= FORKS_PER_S,
        Tag.UNEVEN_JOBS: not idle
        and f.jobs_finished >= UNEVEN_LEAST_JOBS
        and f.job_longest_ratio >= UNEVEN_RATIO,
        Tag.MIGRATION_HEAVY: frequent and f.migrations_per_s >= MIGRATION_RATIO * f.wakeups_per_s,
        Tag.OVERCOMMITTED: f.machine_utilisation >= OVERCOMMITTED_UTILISATION,
        Tag.CONTENDED: f.involuntary_ratio >= INVOLUNTARY_RATIO,
        Tag.IDLE: idle,
    }
    return tuple(tag for tag in Tag if is_true[tag])


def ends_by_itself(figures: WorkloadFigures) -> bool:
    """Whether its bursts are longer than a usual slice, but still end in a sleep."""
    return (
        figures.completions_per_s > 0
        and figures.unended_share <= MOST_UNENDED
        and CUT_BURST_US <= figures.main_burst_us <= LET_RUN_US
    )


def runs_to_completion(figures: WorkloadFigures) -> bool:
    """Whether it would run its long bursts to the end: it sleeps only there, and ends of slices
    rather than waking tasks take the CPU from it before.
    """
    cut = figures.preempted_share > 0
    return ends_by_itself(figures) and (not cut or figures.uncut_us >= BY_SLICE_US)


@dataclass(frozen=True)
class UnderstoodWorkload:
    """A workload in the words by which schedulers are chosen.

    Attributes:
        doubtful: tags that count less: they were measured while the workload was starved, or
            stronger evidence says what counts for it.
        said: the evidence about its purpose, the strongest first; may be empty.
    """

    tags: tuple[Tag, ...]
    doubtful: tuple[Tag, ...] = ()
    said: tuple[PurposeEvidence, ...] = ()


def is_starved(figures: WorkloadFigures) -> bool:
    """Whether a workload wants more CPU time than it gets, so that its figures mislead: others end
    most of its runs, or it waits longer than it runs on a full machine.
    """
    waits_more = 0 < figures.mean_burst_us < figures.delay_p50_us
    full = figures.machine_utilisation >= OVERCOMMITTED_UTILISATION
    return figures.involuntary_ratio >= INVOLUNTARY_RATIO or (waits_more and full)


def understood(
    now: WorkloadFigures,
    said: Sequence[PurposeEvidence] = (),
    *,
    calm: WorkloadFigures | None = None,
    of_the_kernel: bool = False,
) -> UnderstoodWorkload:
    """A workload's tags, from all that is known about it.

    Args:
        said: what declares or suggests its purpose.
        calm: its figures from when it was not starved.
        of_the_kernel: it is a kernel thread, for which no scheduler is chosen.
    """
    behaviour = {*tags_of(calm or now)} & BEHAVIOUR
    if now.by_activation:
        # The work between two sleeps does not become less or more by interruptions.
        behaviour = behaviour - _BURSTS | {*tags_of(now)} & _BURSTS
    state = {*tags_of(now)} - BEHAVIOUR
    if of_the_kernel:
        return UnderstoodWorkload(_ordered(state))
    starved = calm is None and is_starved(now)
    evidence = tuple(sorted(said, key=lambda each: list(PurposeSource).index(each.by)))
    counts = {each.purpose for each in evidence if each.by is evidence[0].by}
    by_program = {each.purpose for each in evidence if each.by is PurposeSource.PROGRAM}
    tags, sure = set(behaviour), set[Tag]()
    for purpose in sorted(counts - {Purpose.LATENCY}):
        tags, sure = told(tags, purpose), sure | _ASSERTS[purpose]
    if Purpose.LATENCY in counts:
        tags, sure = told(tags, Purpose.LATENCY), sure | _ASSERTS[Purpose.LATENCY]
    elif Purpose.THROUGHPUT in by_program:
        tags, sure = tags | {Tag.BATCH}, sure | {Tag.BATCH}
    if any(each.serves for each in evidence):
        tags |= {Tag.SERVICE}
    if starved and Purpose.LATENCY in counts | by_program:
        # It only seems never to sleep: it never gets to the point where it would.
        tags -= {Tag.CPU_BOUND} | ({Tag.BATCH} - sure)
    against = {tag for purpose in counts for tag in _AGAINST[purpose]}
    doubtful = (tags & BEHAVIOUR) - sure if starved else (tags & against) - sure
    if starved and now.by_activation:
        doubtful -= _BURSTS - against
    return UnderstoodWorkload(_ordered(tags | state), _ordered(doubtful), evidence)


# The tags that a purpose makes certain, and the behaviour that counts less beside it.
_ASSERTS = {
    Purpose.LATENCY: {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE},
    Purpose.THROUGHPUT: {Tag.THROUGHPUT},
    Purpose.MAKESPAN: {Tag.MAKESPAN, Tag.BATCH},
}
_AGAINST = {
    Purpose.LATENCY: {Tag.CPU_BOUND},
    Purpose.THROUGHPUT: {Tag.SHORT_BURSTS},
    Purpose.MAKESPAN: {Tag.SHORT_BURSTS},
}


def told(tags: Iterable[str], purpose: Purpose) -> set[Tag]:
    """The tags of a workload for which somebody says what counts."""
    found = {Tag(each) for each in tags}
    if purpose is Purpose.LATENCY:
        return found - {Tag.BATCH} | {Tag.LATENCY_SENSITIVE}
    found -= {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE}
    if purpose is Purpose.MAKESPAN:
        return found | {Tag.BATCH, Tag.MAKESPAN}
    return found | {Tag.THROUGHPUT}


def _ordered(tags: Iterable[Tag]) -> tuple[Tag, ...]:
    has = set(tags)
    return tuple(tag for tag in Tag if tag in has)
