# SPDX-License-Identifier: GPL-2.0-or-later
"""check_candidate: turns a text into a proven candidate, or says why it is not one.

It never touches the running system: only start_trial loads what is proven here.
"""

import contextlib
from collections.abc import Mapping

from pydantic import Field

from daemon.api.client import AsyncClient
from daemon.api.models import (
    POLICY_LIMIT,
    CandidateRequest,
    CandidateView,
    EventKind,
    GateMessage,
    GateResult,
    ParameterValue,
    RecordId,
    SchedulerName,
)
from mcp_server.tool import (
    Arguments,
    Number,
    Parameters,
    Tool,
    ToolAnswer,
    ToolCallContext,
    beside,
    changes,
)
from mcp_server.tools.judging import (
    GuardAnswer,
    GuardsArgument,
    ObjectiveArgument,
    guards_asked,
    guards_of,
)
from mcp_server.tools.shared import WorkloadArgument, told
from mcp_server.untrusted import Body, Name, Said, Word, word
from process import Fault, FaultType

# The longest C source taken, characters.
MOST_SOURCE = 400_000
_GATES = {
    EventKind.GATE_STARTED,
    EventKind.GATE_PROGRESS,
    EventKind.GATE_PASSED,
    EventKind.GATE_SKIPPED,
    EventKind.GATE_FAILED,
}
# Of the gate that failed, and of each other.
_MESSAGES, _WARNINGS = 6, 2


class CheckArguments(Arguments):
    policy: str | None = Field(
        None,
        max_length=POLICY_LIMIT,
        description="A policy line, `use NAME key=value` too",
    )
    library: SchedulerName | None = Field(None, description="A scheduler of the library")
    source: str | None = Field(
        None,
        max_length=MOST_SOURCE,
        description="BPF C of a sched_ext scheduler; only if no policy can express it",
    )
    name: SchedulerName | None = Field(None, description="For source: its name")
    parameters: Parameters = Field(
        default_factory=dict, max_length=64, description="For library: NAME: value"
    )
    workload: WorkloadArgument = Field("", description="Also simulate a recording of this workload")
    episode: RecordId | None = Field(None, description="The episode it is for")
    objective: ObjectiveArgument = ""
    guards: GuardsArgument = Field(default_factory=list)
    canary: bool = Field(False, description="Try it in a virtual machine even if that is slow")


class Message(ToolAnswer):
    severity: Word
    message: Said
    cause: Said = ""
    fix: Said = ""
    file: Name = ""
    line: int = 0
    column: int = 0


class GateAnswer(ToolAnswer):
    gate: Word
    passed: bool
    skipped: Said = ""
    seconds: Number = 0
    figures: dict[str, Number] = Field(default_factory=dict)
    messages: list[Message] = Field(default_factory=list, description="Errors first")
    messages_total: int = 0


class CheckAnswer(ToolAnswer):
    candidate: Word = Field(description="Give this to start_trial")
    name: Word
    kind: Word
    proven: bool = Field(description="Only a proven candidate may be tried")
    quarantined: Said = ""
    warnings: list[Said] = Field(
        default_factory=list, description="What speaks against it for this workload"
    )
    policy: Body = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    objective: Name = Field("", description="How a trial of it is judged, as understood")
    guards: list[GuardAnswer] = Field(default_factory=list)
    gates: list[GateAnswer] = Field(default_factory=list)
    next: str = ""


def _message(each: GateMessage) -> Message:
    return Message(
        severity=each.severity,
        message=each.message,
        cause=each.cause,
        fix=each.fix,
        file=each.file,
        line=each.line,
        column=each.column,
    )


def _told_figures(figures: Mapping[str, float]) -> dict[str, float]:
    """Without the figures of single groups.

    If there is a gain by the objective, the other gains are left out: a model should not choose
    another objective because its figure looks better.
    """
    asked = "gain_objective_percent"
    return {
        name: value
        for name, value in figures.items()
        if "[" not in name and (name == asked or asked not in figures or "gain_" not in name)
    }


def _gate(each: GateResult) -> GateAnswer:
    worst = sorted(each.messages, key=lambda said: said.severity != "error")
    most = _WARNINGS if each.passed else _MESSAGES
    return GateAnswer(
        gate=each.gate.value,
        passed=each.passed,
        skipped=each.skipped,
        seconds=each.seconds,
        figures={word(name): value for name, value in _told_figures(each.figures).items()},
        messages=[_message(said) for said in worst[:most]],
        messages_total=len(each.messages),
    )


def checked(view: CandidateView, call: ToolCallContext, next: str = "") -> CheckAnswer:
    return CheckAnswer(
        candidate=view.id,
        name=view.name,
        kind=view.kind,
        proven=view.proven,
        quarantined=view.quarantined,
        warnings=view.warnings,
        policy=view.policy,
        parameters=told(view.parameters),
        objective=view.objective,
        guards=guards_of(call, view.guards),
        gates=[_gate(each) for each in view.gates],
        next=next,
    )


def _next(view: CandidateView) -> str:
    if view.quarantined:
        return "it is in quarantine: propose something else"
    if view.proven and view.warnings:
        return (
            f"proven, yet warned of: unless a person asks for it, propose something else; else "
            f"start_trial with candidate {view.id}"
        )
    if view.proven:
        return f"start_trial with candidate {view.id}"
    return "not proven: repair what the failed gate says, and check again"


async def _tell(call: ToolCallContext, client: AsyncClient, after: int, name: str) -> None:
    """Pass on the gates' messages while they work; an error here does no harm."""
    mine, told_of = "", 0
    with contextlib.suppress(Fault):
        async for event in client.events(after):
            # Others may have candidates checked at the same time.
            if event.kind not in _GATES or (name and event.scheduler != name):
                continue
            mine = mine or event.candidate
            if event.candidate == mine:
                told_of += 1
                await call.progress(told_of, None, event.message)


async def _check(call: ToolCallContext, wanted: CheckArguments) -> CheckAnswer:
    acting = call.access.acting()
    if [wanted.policy, wanted.library, wanted.source].count(None) != 2:
        raise Fault(FaultType.BAD_REQUEST, "give exactly one of policy, library and source")
    id = await call.workload(wanted.workload)
    request = CandidateRequest(
        library=wanted.library,
        parameters=wanted.parameters,
        source=wanted.source,
        policy=wanted.policy,
        name=wanted.name,
        episode=wanted.episode,
        workload=id or None,
        objective=wanted.objective or None,
        guards=await guards_asked(call, wanted.guards),
        canary=wanted.canary,
    )
    reading = call.access.reading
    before = await reading.recorded_events(0)
    after = before[-1].seq if before else 0
    async with beside(_tell(call, reading, after, wanted.library or wanted.name or "")):
        view = await acting.create_candidate(request)
    return checked(view, call, _next(view))


check_candidate = Tool(
    name="check_candidate",
    title="Check a candidate",
    description=(
        "Run a policy line, a library scheduler or C source through the gates: compile, static, "
        "build, controls, simulate, verify (and canary). It touches nothing that runs. Answers "
        "with an id to try, or with what to repair."
    ),
    arguments=CheckArguments,
    answer=CheckAnswer,
    run=_check,
    annotations=changes("Check a candidate", destructive=False, idempotent=True),
    acts=True,
)
