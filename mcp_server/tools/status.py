# SPDX-License-Identifier: GPL-2.0-or-later
"""get_status: what runs, what is served badly, what is allowed."""

import time

from pydantic import Field

from daemon.api.models import Degradation, LoadedScheduler, ParameterValue, StatusView
from daemon.api.prepared import preparation_text, unprepared
from mcp_server.tool import NoArguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.shared import told
from mcp_server.untrusted import Body, Name, Said, ShortName, Word


class Running(ToolAnswer):
    scheduler: Word
    candidate: Word = ""
    why: Word
    for_s: Number
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    policy: Body = ""


class Degraded(ToolAnswer):
    workload: Word = Field(description="Handle")
    name: ShortName
    signal: Word
    value: Number
    usual: Number
    unit: Word = ""
    ratio: Number
    for_s: Number
    objective: Name = ""
    reason: Said = ""


class ObjectiveAnswer(ToolAnswer):
    workload: Word = ""
    name: ShortName = ""
    objective: Name
    value: Number | None = None
    unit: Word = ""
    broken: bool


class QuarantineAnswer(ToolAnswer):
    scheduler: Word
    candidate: Word
    reason: Said
    for_s: Number


class Pending(ToolAnswer):
    approval: Word
    trial: Word
    scheduler: Word
    objective: Name = ""
    workload: Word = ""


class Status(ToolAnswer):
    autonomy: Word = Field(
        description="observe: advise only; ask: a person approves each trial; auto"
    )
    may_act: bool = Field(description="Whether acting tools are open to you")
    sched_ext: Word = Field(description="The kernel's state; absent: cannot be loaded here")
    scheduler: Running | None = Field(None, description="Absent: the kernel's default runs")
    foreign: Name = ""
    trial: Word = ""
    episode: Word = ""
    approvals: list[Pending] = Field(default_factory=list)
    limits: list[Said] = Field(default_factory=list, description="What the daemon may not do now")
    degraded: list[Degraded] = Field(default_factory=list, description="Worst first")
    degraded_total: int = 0
    objectives: list[ObjectiveAnswer] = Field(default_factory=list, description="Broken first")
    objectives_total: int = 0
    quarantined: list[QuarantineAnswer] = Field(default_factory=list)
    quarantined_total: int = 0
    cpu_sets: list[Name] = Field(
        default_factory=list, description="What a policy can name here; absent: CPUs are alike"
    )
    prepared: Said = Field("", description="Proven ahead: a trial of these can begin at once")
    unprepared: list[Said] = Field(default_factory=list)
    notes: list[Said] = Field(default_factory=list)


# How many of each kind get_status shows.
_SHOWN = 3
_CPU_SETS_SHOWN = 12


def _running(loaded: LoadedScheduler, now: float) -> Running:
    return Running(
        scheduler=loaded.name,
        candidate=loaded.candidate,
        why=loaded.why,
        for_s=max(0.0, now - loaded.since),
        parameters=told(loaded.parameters),
        policy=loaded.policy,
    )


def degraded_of(each: Degradation, call: ToolCallContext, now: float) -> Degraded:
    return Degraded(
        workload=call.handles.of(each.workload),
        name=each.workload,
        signal=each.signal,
        value=each.value,
        usual=each.baseline,
        unit=each.unit,
        ratio=each.ratio,
        for_s=max(0.0, now - each.since),
        objective=each.objective,
        reason=each.reason,
    )


def _limits(status: StatusView) -> list[str]:
    said = [("advice only", status.advice_only), ("cooldown", status.cooldown)]
    return [f"{name}: {limit.reason}" for name, limit in said if limit is not None]


def _cpu_sets(status: StatusView) -> list[str]:
    said = [f"{name}: {cpus}" for name, cpus in status.cpu_sets.items()][:_CPU_SETS_SHOWN]
    return [*said, "smt avoid"] if status.smt else said


async def _get_status(call: ToolCallContext, _: NoArguments) -> Status:
    status = await call.access.reading.status()
    now = time.time()
    degraded = sorted(status.degraded, key=lambda each: -each.ratio)
    objectives = sorted(status.objectives, key=lambda each: not each.broken)
    return Status(
        autonomy=status.autonomy.value,
        may_act=call.access.may_act,
        sched_ext=(status.kernel.state or "there") if status.kernel.supported else "absent",
        scheduler=_running(status.loaded, now) if status.loaded else None,
        foreign=status.foreign,
        trial=status.trial,
        episode=status.episode,
        approvals=[
            Pending(
                approval=each.id,
                trial=each.trial,
                scheduler=each.scheduler,
                objective=each.objective,
                workload=call.handles.of(each.workload),
            )
            for each in status.approvals[:_SHOWN]
        ],
        limits=_limits(status),
        degraded=[degraded_of(each, call, now) for each in degraded[:_SHOWN]],
        degraded_total=len(degraded),
        objectives=[
            ObjectiveAnswer(
                workload=call.handles.of(each.workload),
                name=each.workload,
                objective=each.text,
                value=each.value,
                unit=each.unit,
                broken=each.broken,
            )
            for each in objectives[:_SHOWN]
        ],
        objectives_total=len(objectives),
        quarantined=[
            QuarantineAnswer(
                scheduler=each.scheduler,
                candidate=each.candidate,
                reason=each.reason,
                for_s=max(0.0, now - each.since),
            )
            for each in status.quarantine[:_SHOWN]
        ],
        quarantined_total=len(status.quarantine),
        cpu_sets=_cpu_sets(status),
        prepared=preparation_text(status.preparation) if status.preparation else "",
        unprepared=unprepared(status.preparation)[:_SHOWN] if status.preparation else [],
        notes=status.notes[:2],
    )


get_status = Tool(
    name="get_status",
    title="Status of the machine's CPU scheduling",
    description="What runs, what is served worse than usual, which objectives "
    "are broken, what you may do, and what waits for a person.",
    arguments=NoArguments,
    answer=Status,
    run=_get_status,
    annotations=reads("Status of the machine's CPU scheduling"),
)
