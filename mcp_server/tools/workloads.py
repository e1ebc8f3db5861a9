# SPDX-License-Identifier: GPL-2.0-or-later
"""list_workloads: the workloads, worst served first."""

from pydantic import Field

from daemon.api.models import WorkloadView
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.untrusted import Name, Word


class ListArguments(Arguments):
    degraded_only: bool = Field(False, description="Only those served worse than usual")
    offset: int = Field(0, ge=0, le=100_000, description="Where to continue: next_offset")
    limit: int = Field(12, ge=1, le=50)


class WorkloadRow(ToolAnswer):
    workload: Word = Field(description="Handle: give this to the other tools")
    name: Name
    delay_p99_us: Number | None = None
    usual_us: Number | None = None
    cpus_used: Number | None = None
    slice_us: Number | None = None
    wakeups_per_s: Number | None = None
    tags: list[Word] = Field(default_factory=list)
    degraded: bool = False


class Workloads(ToolAnswer):
    workloads: list[WorkloadRow] = Field(description="Degraded first, then longest waits first")
    total: int
    next_offset: int | None = None


def _row(each: WorkloadView, call: ToolCallContext) -> WorkloadRow:
    last = each.last
    return WorkloadRow(
        workload=call.handles.of(each.id),
        name=each.id,
        delay_p99_us=last.delay_p99_us if last else None,
        usual_us=each.baseline_delay_p99_us,
        cpus_used=last.run_share if last else None,
        slice_us=last.slice_mean_us if last else None,
        wakeups_per_s=last.wakeups_per_s if last else None,
        tags=each.tags,
        degraded=each.degraded is not None,
    )


async def _list_workloads(call: ToolCallContext, wanted: ListArguments) -> Workloads:
    seen = await call.access.reading.workloads()
    chosen = [each for each in seen if each.degraded or not wanted.degraded_only]
    chosen.sort(key=lambda each: (not each.degraded, -(each.last.delay_p99_us if each.last else 0)))
    end = wanted.offset + wanted.limit
    return Workloads(
        workloads=[_row(each, call) for each in chosen[wanted.offset : end]],
        total=len(chosen),
        next_offset=end if end < len(chosen) else None,
    )


list_workloads = Tool(
    name="list_workloads",
    title="List workloads",
    description="The workloads of this machine (a cgroup each, else a command name), with "
    "run-queue delay, CPU use and their handles.",
    arguments=ListArguments,
    answer=Workloads,
    run=_list_workloads,
    annotations=reads("List workloads"),
)
