# SPDX-License-Identifier: GPL-2.0-or-later
"""profile_workload: what a workload is, does and waits for."""

from pydantic import Field

from daemon.api.models import WorkloadProfileView
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.shared import WorkloadArgument
from mcp_server.untrusted import Name, Said, ShortName, Word, word


class ProfileArguments(Arguments):
    workload: WorkloadArgument
    processes: int = Field(4, ge=0, le=64, description="Processes shown, at most")
    threads: int = Field(4, ge=0, le=32, description="Groups of threads shown, at most")


class KindAnswer(ToolAnswer):
    kind: Word
    certainty: Word
    share: Number = Field(description="Of its CPU time")
    evidence: list[Said] = Field(default_factory=list)


class PurposeAnswer(ToolAnswer):
    counts: Word = Field(description="latency, throughput or makespan")
    by: Word = Field(description="declared, program, calm (not starved) or now, strongest first")
    certainty: Word
    why: Said


class ProcessAnswer(ToolAnswer):
    pid: int
    parent: int = 0
    name: ShortName
    command: Name = ""
    user: ShortName = ""
    threads: int = 1
    cpus_used: Number = 0
    kind: Word = ""


class Threads(ToolAnswer):
    name: ShortName
    threads: int
    run_share: Number = Field(description="Of one CPU, each")
    wait_share: Number = Field(description="Waiting for a CPU, each")
    burst_us: Number | None = Field(None, description="CPU time from sleep to sleep, mean")
    response_us: Number | None = Field(None, description="The same with all waits for a CPU")
    sleeps_per_s: Number = 0
    preemptions_per_s: Number = 0
    pattern: Word = ""


class Response(ToolAnswer):
    p50_us: Number
    p99_us: Number
    completions_per_s: Number
    burst_p50_us: Number = Field(description="CPU time of one")
    running: Number = Field(description="Part of the mean: no scheduler can go below this")
    waiting: Number = Field(description="Part: waiting for a CPU after the wakeup")
    preempted: Number = Field(description="Part: waiting after losing the CPU")
    runs_to_completion: bool = Field(
        description="Long bursts that end by themselves: let each run to its end"
    )


class Delay(ToolAnswer):
    p50: Number
    p90: Number
    p99: Number
    max: Number
    count: int
    seconds: Number


class PressureAnswer(ToolAnswer):
    scope: Word
    cpu: Number | None = None
    io: Number | None = None
    memory: Number | None = None


class LimitsAnswer(ToolAnswer):
    cpus: Number | None = None
    weight: int | None = None
    throttled_share: Number | None = None
    allowed_cpus: Word = ""


class ProfileAnswer(ToolAnswer):
    workload: Word = Field(description="Handle")
    name: Name
    unit: ShortName = ""
    started_by: list[ShortName] = Field(default_factory=list)
    tags: list[Word] = Field(description="The words that describe schedulers")
    purposes: list[PurposeAnswer] = Field(
        default_factory=list, description="The figure that counts for it; a declared one decides"
    )
    kinds: list[KindAnswer] = Field(default_factory=list)
    figures: dict[str, Number] = Field(default_factory=dict)
    response: Response | None = Field(
        None, description="From a thread's wakeup to its next sleep, waits included"
    )
    delay_us: Delay | None = Field(
        None, description="Run-queue delay: a part of response; long if bursts may run to their end"
    )
    running_mean: Number | None = Field(None, description="Threads on a CPU at once")
    waiting_mean: Number | None = Field(None, description="Threads that wait for one at once")
    time_shares: dict[str, Number] = Field(
        default_factory=dict, description="What its threads spend their time on, 0 to 1"
    )
    asleep_in: dict[str, int] = Field(default_factory=dict)
    pressure: list[PressureAnswer] = Field(default_factory=list, description="Per cent of time")
    limits: LimitsAnswer | None = None
    instructions_per_cycle: Number | None = None
    processes: list[ProcessAnswer] = Field(default_factory=list)
    processes_total: int = 0
    threads: list[Threads] = Field(default_factory=list)
    threads_total: int = 0
    sure_of: list[Said] = Field(default_factory=list)
    not_known: list[Said] = Field(default_factory=list)
    own_numbers: list[Said] = Field(default_factory=list, description="Per cent of time")


# Figures that matter and have no field of their own.
_FIGURES = (
    "mean_burst_us",
    "burst_half_us",
    "slice_us",
    "unended_share",
    "wakeups_per_s",
    "cpus_used",
    "forks_per_s",
    "migrations_per_s",
    "involuntary_ratio",
    "jobs_finished",
    "job_longest_ratio",
    "machine_cpus",
)
# Sentences shown of each kind; more would help little.
_SENTENCES = 4


def _shares(view: WorkloadProfileView) -> dict[str, float]:
    waits = view.waits
    shares = {
        "runqueue": waits.runqueue_share,
        "io": waits.io_share,
        "lock": waits.lock_share,
        "sleep": waits.sleep_share,
    }
    return {name: share for name, share in shares.items() if share is not None}


def _kinds(view: WorkloadProfileView) -> list[KindAnswer]:
    return [
        KindAnswer(
            kind=each.kind.value,
            certainty=each.certainty.value,
            share=each.share,
            evidence=each.evidence[:1],
        )
        for each in view.kinds[:3]
    ]


def _processes(view: WorkloadProfileView, most: int) -> list[ProcessAnswer]:
    busiest = sorted(view.processes, key=lambda each: -each.cpu_share)[:most]
    shown = {each.pid for each in busiest}
    return [
        ProcessAnswer(
            pid=each.pid,
            parent=each.parent,
            name=each.name,
            command="" if each.command in (each.name, "") else each.command,
            user=each.user,
            threads=each.threads,
            cpus_used=each.cpu_share,
            kind=each.kind.value if each.kind != "unknown" else "",
        )
        for each in view.processes
        if each.pid in shown
    ]


def _threads(view: WorkloadProfileView, most: int) -> list[Threads]:
    return [
        Threads(
            name=each.name,
            threads=each.threads,
            run_share=each.run_share,
            wait_share=each.wait_share,
            burst_us=each.burst_us,
            response_us=each.response_us,
            sleeps_per_s=each.sleeps_per_s,
            preemptions_per_s=each.preemptions_per_s,
            pattern=each.pattern,
        )
        for each in view.threads[:most]
    ]


def _response(view: WorkloadProfileView) -> Response | None:
    if view.split is None:
        return None
    return Response(
        p50_us=view.response_p50_us or 0,
        p99_us=view.response_p99_us or 0,
        completions_per_s=view.completions_per_s or 0,
        burst_p50_us=view.burst_p50_us or 0,
        running=view.split.running,
        waiting=view.split.waiting,
        preempted=view.split.preempted,
        runs_to_completion=bool(view.runs_to_completion),
    )


def profile_of(view: WorkloadProfileView, handle: str, wanted: ProfileArguments) -> ProfileAnswer:
    """The part of a profile that a model reads first."""
    delay, limits, counters = view.delay, view.limits, view.counters
    looked = view.parallelism.looks > 0
    return ProfileAnswer(
        workload=handle,
        name=view.workload,
        unit=view.unit,
        started_by=view.started_by[:2],
        tags=view.tags,
        purposes=[
            PurposeAnswer(counts=each.purpose, by=each.by, certainty=each.certainty, why=each.why)
            for each in view.purposes[:3]
        ],
        kinds=_kinds(view),
        figures={name: view.figures[name] for name in _FIGURES if view.figures.get(name)},
        response=_response(view),
        delay_us=Delay(
            p50=delay.p50_us,
            p90=delay.p90_us,
            p99=delay.p99_us,
            max=delay.max_us,
            count=delay.count,
            seconds=delay.seconds,
        )
        if delay
        else None,
        running_mean=view.parallelism.running_mean if looked else None,
        waiting_mean=view.parallelism.waiting_mean if looked else None,
        time_shares=_shares(view),
        asleep_in={word(name): count for name, count in view.waits.asleep_in.items()},
        pressure=[
            PressureAnswer(scope=each.scope, cpu=each.cpu, io=each.io, memory=each.memory)
            for each in view.pressure
        ],
        limits=LimitsAnswer(
            cpus=limits.cpus,
            weight=limits.weight,
            throttled_share=limits.throttled_share,
            allowed_cpus=limits.allowed_cpus,
        )
        if limits
        else None,
        instructions_per_cycle=counters.instructions_per_cycle if counters else None,
        processes=_processes(view, wanted.processes),
        processes_total=view.processes_total,
        threads=_threads(view, wanted.threads),
        threads_total=view.threads_total,
        sure_of=view.sure_of[:_SENTENCES],
        not_known=view.not_known[:_SENTENCES],
        own_numbers=[f"{each.source}: {each.why}" for each in view.measures],
    )


async def _profile_workload(call: ToolCallContext, wanted: ProfileArguments) -> ProfileAnswer:
    id = await call.workload(wanted.workload)
    view = await call.access.reading.workload_profile(id)
    return profile_of(view, call.handles.of(id), wanted)


profile_workload = Tool(
    name="profile_workload",
    title="Profile a workload",
    description=(
        "What a workload is (build, database, encoder, …), what it does and what it waits for: "
        "response time and what it is made of, threads, run-queue delay, pressure; how sure each "
        "of it is. search_schedulers uses its tags."
    ),
    arguments=ProfileArguments,
    answer=ProfileAnswer,
    run=_profile_workload,
    annotations=reads("Profile a workload"),
)
