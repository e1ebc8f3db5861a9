# SPDX-License-Identifier: GPL-2.0-only
"""What a workload is like, in figures and in the few words that schedulers are chosen by.

Pure: figures in, tags out. The thresholds are here and nowhere else, each with its reason.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Tag(StrEnum):
    """Words that profiles and manifests (`tags`, `good_for`, `bad_for`) have in common."""

    LATENCY_SENSITIVE = "latency-sensitive"
    INTERACTIVE = "interactive"
    SHORT_BURSTS = "short-bursts"
    CPU_BOUND = "cpu-bound"
    BATCH = "batch"
    MANY_THREADS = "many-threads"
    FORK_HEAVY = "fork-heavy"
    UNEVEN_JOBS = "uneven-jobs"
    MIGRATION_HEAVY = "migration-heavy"
    OVERCOMMITTED = "overcommitted"
    CONTENDED = "contended"
    IDLE = "idle"


MEANING: dict[Tag, str] = {
    Tag.LATENCY_SENSITIVE: "answers requests: short bursts, frequent wakeups",
    Tag.INTERACTIVE: "wakes now and then for a short while, as a person's program does",
    Tag.SHORT_BURSTS: "runs briefly between sleeps",
    Tag.CPU_BOUND: "hardly ever sleeps",
    Tag.BATCH: "long bursts; its throughput counts, not its delays",
    Tag.MANY_THREADS: "has far more threads than the machine has CPUs",
    Tag.FORK_HEAVY: "starts many processes a second",
    Tag.UNEVEN_JOBS: "consists of finite jobs of very different length",
    Tag.MIGRATION_HEAVY: "is moved between CPUs very often",
    Tag.OVERCOMMITTED: "runs on a machine with more runnable tasks than CPUs",
    Tag.CONTENDED: "is often made to stop although it has more to do",
    Tag.IDLE: "uses next to no CPU time",
}

# A burst that fits well into the slice of every scheduler in common use (EEVDF's base
# slice is 2.8 ms on a small machine): a scheduler that knew could always let it finish.
SHORT_BURST_US = 2_000.0
# Bursts longer than the kernel's default slice for sched_ext (20 ms) end by the slice and
# not by themselves, and gain nothing from being started sooner.
LONG_BURST_US = 20_000.0
# A service under load wakes hundreds of times a second; a person's program some tens.
FREQUENT_WAKEUPS_PER_S = 50.0
SOME_WAKEUPS_PER_S = 1.0
# Share of one CPU for each running thread, from which on it hardly sleeps.
CPU_BOUND_SHARE = 0.85
IDLE_SHARE = 0.005
# Threads for each CPU of the machine.
MANY_THREADS_PER_CPU = 8.0
FORKS_PER_S = 20.0
# Part of all switches away from it that it did not ask for.
INVOLUNTARY_RATIO = 0.5
# CPU time of the longest of the finished jobs, as a multiple of their median: one that takes as
# long as three others leaves a small machine half idle when it is begun last.
UNEVEN_RATIO = 3.0
UNEVEN_LEAST_JOBS = 4
# Moved on every second wakeup: what is cached is lost more often than not.
MIGRATION_RATIO = 0.5
OVERCOMMITTED_UTILISATION = 0.95


class Figures(BaseModel):
    """What was measured of one workload over one stretch of time. Absent: zero or None.

    `cpus_used` is CPU time divided by wall time, so 1.0 is one CPU kept busy. Durations
    carry their unit; rates are for each second of wall time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Count = 0.0
    mean_burst_us: Count = 0.0
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
    machine_utilisation: Share = 0.0


class WorkloadProfile(BaseModel):
    """One workload as the library and the advisors see it.

    `id` and `name` come from the system (a cgroup, a command name) and are hostile text:
    whoever shows them escapes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(min_length=1, max_length=400)]
    name: Annotated[str, Field(max_length=400)] = ""
    figures: Figures = Figures()
    tags: tuple[Tag, ...] = ()

    @classmethod
    def measured(cls, id: str, figures: Figures, name: str = "") -> "WorkloadProfile":
        """A profile whose tags follow from its figures."""
        return cls(id=id, name=name or id, figures=figures, tags=tags_of(figures))


def tags_of(figures: Figures) -> tuple[Tag, ...]:
    """The words for these figures, in the order of `Tag`. Pure and total."""
    f = figures
    # CPU time for each thread that runs at all; without that count, for each thread, but
    # not more than there is machine: a pool of a hundred threads is mostly asleep.
    busy = f.running_threads or min(f.threads or 1, f.machine_cpus)
    per_thread = f.cpus_used / busy if busy else 0.0
    idle = f.cpus_used < IDLE_SHARE and f.wakeups_per_s < SOME_WAKEUPS_PER_S
    short = 0 < f.mean_burst_us <= SHORT_BURST_US and not idle
    frequent = f.wakeups_per_s >= FREQUENT_WAKEUPS_PER_S
    bound = per_thread >= CPU_BOUND_SHARE or f.mean_burst_us >= 5 * LONG_BURST_US
    long = f.mean_burst_us >= LONG_BURST_US
    # Where the machine is full, nobody gets a whole CPU: what tells then is that bursts
    # end by the scheduler's hand and there are next to no wakeups.
    driven = f.involuntary_ratio >= INVOLUNTARY_RATIO and not frequent and f.cpus_used > 0.1
    is_true = {
        Tag.LATENCY_SENSITIVE: short and frequent and not bound,
        Tag.INTERACTIVE: short and not frequent and f.wakeups_per_s >= SOME_WAKEUPS_PER_S,
        Tag.SHORT_BURSTS: short,
        Tag.CPU_BOUND: not idle and not (short and frequent) and (bound or driven),
        Tag.BATCH: not idle and not short and (long or bound or driven),
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
