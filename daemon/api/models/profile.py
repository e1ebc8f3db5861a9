# SPDX-License-Identifier: GPL-2.0-or-later
"""What one workload is, does and waits for: the answer of a closer look."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from daemon.api.models.base import Answer
from daemon.api.models.workloads import PurposeView, Responses


class ProgramKind(StrEnum):
    """A program's purpose, as far as it matters for scheduling."""

    BUILD = "build"
    TEST_SUITE = "test-suite"
    DATABASE = "database"
    CACHE = "cache"
    WEB_SERVER = "web-server"
    PROXY = "proxy"
    BROKER = "message-broker"
    ENCODER = "encoder"
    COMPRESSION = "compression"
    ML_TRAINING = "ml-training"
    ML_INFERENCE = "ml-inference"
    INTERACTIVE = "interactive"
    AUDIO = "audio"
    GAME = "game"
    BATCH = "batch"
    LOAD_GENERATOR = "load-generator"
    CONTAINER_RUNTIME = "container-runtime"
    VIRTUAL_MACHINE = "virtual-machine"
    LANGUAGE_RUNTIME = "language-runtime"
    SYSTEM_SERVICE = "system-service"
    KERNEL = "kernel"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """`sure`: the program itself shows it; `likely`: its name or arguments do; `guess`: its context
    or its behaviour does.
    """

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"


class KindView(Answer):
    """The kind of the processes with `share` (0 to 1) of the workload's CPU time, and the evidence.

    `evidence` quotes hostile text.
    """

    kind: ProgramKind
    certainty: Certainty
    share: float = 0.0
    evidence: list[str] = Field(default_factory=list)


class ProcessNode(Answer):
    """One process of the tree.

    `parent` is 0 if that is not part of the workload; `command` is cut, and parts that look like
    secrets are left out. Hostile text, escaped for display.
    """

    pid: int
    parent: int = 0
    depth: int = 0
    name: str
    command: str = ""
    user: str = ""
    threads: int = 1
    cpu_share: float = 0.0
    kind: ProgramKind = ProgramKind.UNKNOWN


class ThreadGroup(Answer):
    """Threads of one name.

    Shares are of one CPU for each thread (0 to 1): on a CPU, and waiting for one; rates are per
    second for all of them together. `run_us` is their mean uninterrupted time on a CPU; `burst_us`
    their CPU time from one sleep to the next and `response_us` that with all waits for a CPU, None
    if none of them slept.
    """

    name: str
    threads: int
    run_share: float = 0.0
    wait_share: float = 0.0
    sleeps_per_s: float = 0.0
    preemptions_per_s: float = 0.0
    run_us: float = 0.0
    burst_us: float | None = None
    response_us: float | None = None
    pattern: str = ""


class Parallelism(Answer):
    """How many of its threads want a CPU at once:

    `running_mean` are on one, `waiting_mean` wait for one, `most` is the largest sum seen. `looks`
    is the number of samples.
    """

    running_mean: float = 0.0
    waiting_mean: float = 0.0
    most: int = 0
    looks: int = 0


class WaitsView(Answer):
    """What its threads wait for, as shares (0 to 1) of their time; None if unknown.

    `asleep_in` counts threads by the place in the kernel where they sleep, by class.
    """

    runqueue_share: float | None = None
    io_share: float | None = None
    sleep_share: float | None = None
    lock_share: float | None = None
    asleep_in: dict[str, int] = Field(default_factory=dict)
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None


class DelayView(Answer):
    """How long its tasks waited on a run queue, microseconds, over the last `seconds`."""

    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    count: int
    seconds: float


class PressureView(Answer):
    """Share of time (per cent, ten-second average) in which some task waited for it; of the
    workload's own cgroup or of the whole machine."""

    scope: Literal["workload", "machine"]
    cpu: float | None = None
    io: float | None = None
    memory: float | None = None


class LimitsView(Answer):
    """The limits of its cgroup.

    `cpus` is the quota in CPUs, None without one; `throttled_share` the share of quota periods in
    which it was used up, since the cgroup was made.
    """

    cpus: float | None = None
    weight: int | None = None
    throttled_share: float | None = None
    allowed_cpus: str = ""


class CountersView(Answer):
    """Hardware counters of the whole machine in the last interval."""

    instructions_per_cycle: float | None = None
    cache_misses_per_1000: float | None = None


class MeasureHint(Answer):
    """One of the application's own numbers that could be measured:

    `snippet` is for `agent.toml`, after a review; `needs` says what else has to be done.
    """

    source: str
    why: str
    snippet: str
    needs: str = ""


class WorkloadProfileView(Responses):
    """What one workload is, does and waits for, from /proc, its cgroup and the signals.

    Bounded in time and size; parts that were not checked are counted. Every name is hostile text.
    """

    workload: str
    at: float
    took_ms: float = 0.0
    cgroup: str = ""
    unit: str = ""
    started_by: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    purposes: list[PurposeView] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    kinds: list[KindView] = Field(default_factory=list)
    processes: list[ProcessNode] = Field(default_factory=list)
    processes_total: int = 0
    threads: list[ThreadGroup] = Field(default_factory=list)
    threads_total: int = 0
    threads_looked_at: int = 0
    parallelism: Parallelism = Parallelism()
    waits: WaitsView = WaitsView()
    delay: DelayView | None = None
    pressure: list[PressureView] = Field(default_factory=list)
    limits: LimitsView | None = None
    counters: CountersView | None = None
    counters_note: str = ""
    sure_of: list[str] = Field(default_factory=list)
    not_known: list[str] = Field(default_factory=list)
    measures: Annotated[list[MeasureHint], Field(max_length=3)] = Field(default_factory=list)
