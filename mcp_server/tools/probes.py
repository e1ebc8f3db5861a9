# SPDX-License-Identifier: GPL-2.0-or-later
"""run_probe: look closer, for a few seconds."""

from typing import Literal

from pydantic import Field

from daemon.api.models import HistogramView, ProbeKind, ProbeRequest, TableView
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, changes
from mcp_server.tools.shared import WorkloadArgument
from mcp_server.untrusted import Name, Said, Word

# Not `uprobe`: only a person chooses a function of a program.
_Kind = Literal[
    "runqlat", "offcpu", "wakeups", "oncpu", "syscalls", "futex", "chains", "preempted-locks"
]


class ProbeArguments(Arguments):
    kind: _Kind = Field(
        description="runqlat: waits for a CPU; offcpu: what it sleeps for; wakeups: who wakes "
        "whom; oncpu: length of runs; syscalls: by class; futex: contended locks; chains: from "
        "the first wakeup to the last sleep; preempted-locks: holders that lost the CPU"
    )
    workload: WorkloadArgument = Field("", description="Default: the whole machine")
    seconds: int = Field(5, ge=1, le=30)


class HistogramAnswer(ToolAnswer):
    title: Said
    unit: Word
    count: int
    p50: Number
    p90: Number
    p99: Number
    buckets: list[tuple[Number, int]] = Field(
        default_factory=list, description="[upper edge, count], without empty ones"
    )


class TableAnswer(ToolAnswer):
    title: Said
    columns: list[Name]
    rows: list[list[Number | Name]]
    left_out: int = 0


class Probe(ToolAnswer):
    kind: Word
    workload: Word = ""
    source: Word = Field(description="signals: the probe could not run, these stand in")
    seconds: Number
    summary: list[Said] = Field(default_factory=list)
    histograms: list[HistogramAnswer] = Field(default_factory=list)
    tables: list[TableAnswer] = Field(default_factory=list)
    notes: list[Said] = Field(default_factory=list)
    lost: int = 0


# Of each table and histogram.
_ROWS, _BUCKETS = 8, 16


def _histogram(view: HistogramView) -> HistogramAnswer:
    filled = [(each.upper, each.count) for each in view.buckets if each.count]
    largest = sorted(filled, key=lambda each: -each[1])[:_BUCKETS]
    return HistogramAnswer(
        title=view.title,
        unit=view.unit,
        count=view.count,
        p50=view.p50,
        p90=view.p90,
        p99=view.p99,
        buckets=sorted(largest),
    )


def _table(view: TableView) -> TableAnswer:
    return TableAnswer(
        title=view.title,
        columns=view.columns,
        rows=[list(row) for row in view.rows[:_ROWS]],
        left_out=view.left_out + max(0, len(view.rows) - _ROWS),
    )


async def _run_probe(call: ToolCallContext, wanted: ProbeArguments) -> Probe:
    acting = call.access.acting()
    id = await call.workload(wanted.workload)
    request = ProbeRequest(kind=ProbeKind(wanted.kind), workload=id or None, seconds=wanted.seconds)
    await call.progress(0, None, f"{wanted.kind} looks for {wanted.seconds} s")
    view = await acting.run_probe(request)
    return Probe(
        kind=view.kind.value,
        workload=call.handles.of(view.workload),
        source=view.source,
        seconds=view.seconds,
        summary=view.summary,
        histograms=[_histogram(each) for each in view.histograms],
        tables=[_table(each) for each in view.tables],
        notes=view.notes,
        lost=view.lost,
    )


run_probe = Tool(
    name="run_probe",
    title="Run a probe",
    description=(
        "Trace a workload or the machine for some seconds and return a summary. For a question "
        "that profile_workload leaves open; it costs the machine a little."
    ),
    arguments=ProbeArguments,
    answer=Probe,
    run=_run_probe,
    annotations=changes("Run a probe", destructive=False, idempotent=True),
    acts=True,
)
