# SPDX-License-Identifier: GPL-2.0-or-later
"""get_signals: how scheduling went over time, for one workload or the machine."""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pydantic import Field

from daemon.api.models import SignalPoint
from mcp_server.tool import Arguments, Number, Tool, ToolAnswer, ToolCallContext, reads
from mcp_server.tools.shared import WorkloadArgument
from mcp_server.untrusted import Said, Word, word


class SignalsArguments(Arguments):
    workload: WorkloadArgument = Field("", description="Its series; default: the machine's figures")
    last_s: float = Field(300, gt=0, le=86_400, description="How far back, seconds")
    points: int = Field(12, ge=1, le=120, description="Rows of the series, at most")


class Spread(ToolAnswer):
    median: Number
    least: Number
    most: Number


class SeriesAnswer(ToolAnswer):
    columns: list[str]
    rows: list[list[Number | Word]] = Field(description="Oldest first; each stands for a span")
    intervals: int


class MachineAnswer(ToolAnswer):
    cpus: int | None = None
    utilisation: Number | None = None
    runnable: int | None = None
    context_switches_per_s: Number | None = None
    cpu_pressure_percent: Number | None = None
    instructions_per_cycle: Number | None = None
    scheduler_events: dict[str, int] = Field(default_factory=dict)
    not_known: Said = ""


class Signals(ToolAnswer):
    interval_s: Number
    workload: Word = ""
    response_p99_us: Spread | None = Field(
        default=None, description="Wakeup to next sleep, waits included"
    )
    completions_per_s: Spread | None = Field(default=None, description="How many of those ended")
    burst_us: Spread | None = Field(default=None, description="Their CPU time, mean")
    delay_p99_us: Spread | None = None
    delay_p50_us: Spread | None = None
    cpus_used: Spread | None = None
    series: SeriesAnswer | None = None
    machine: MachineAnswer | None = None


_COLUMNS = [
    "age_s",
    "response_p99_us",
    "completions_per_s",
    "delay_p99_us",
    "slice_us",
    "cpus_used",
]


def _spread(values: Sequence[float]) -> Spread | None:
    if not values:
        return None
    return Spread(median=median(values), least=min(values), most=max(values))


def _thinned(points: Sequence[SignalPoint], most: int, now: float) -> SeriesAnswer:
    """At most `most` rows; each is the median of its intervals."""
    step = max(1, -(-len(points) // most))
    rows: list[list[float | str]] = []
    for start in range(0, len(points), step):
        part = points[start : start + step]
        rows.append(
            [
                now - part[-1].at,
                median(each.response_p99_us for each in part),
                median(each.completions_per_s for each in part),
                median(each.delay_p99_us for each in part),
                median(each.slice_mean_us for each in part),
                median(each.run_share for each in part),
                part[-1].scheduler or "default",
            ]
        )
    return SeriesAnswer(columns=[*_COLUMNS, "scheduler"], rows=rows, intervals=len(points))


def _part(of: object, name: str) -> Mapping[str, Any]:
    part = of.get(name) if isinstance(of, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _machine(line: Mapping[str, object] | None) -> MachineAnswer:
    machine = _part(line, "machine")
    perf = _part(machine, "perf")
    cycles, instructions = perf.get("cycles"), perf.get("instructions")
    events = _part(_part(machine, "sched_ext"), "events")
    return MachineAnswer(
        cpus=machine.get("cpus"),
        utilisation=machine.get("utilisation"),
        runnable=machine.get("runnable"),
        context_switches_per_s=machine.get("context_switches_per_s"),
        cpu_pressure_percent=_part(machine, "psi_cpu").get("some_avg10"),
        instructions_per_cycle=instructions / cycles if cycles and instructions else None,
        scheduler_events={word(name): count for name, count in events.items() if count},
        not_known=machine.get("perf_note") or "",
    )


async def _get_signals(call: ToolCallContext, wanted: SignalsArguments) -> Signals:
    id = await call.workload(wanted.workload)
    view = await call.access.reading.signals(id, wanted.last_s)
    if not id:
        return Signals(interval_s=view.interval_s, machine=_machine(view.line))
    points = view.series
    return Signals(
        interval_s=view.interval_s,
        workload=call.handles.of(id),
        response_p99_us=_spread([each.response_p99_us for each in points]),
        completions_per_s=_spread([each.completions_per_s for each in points]),
        burst_us=_spread([each.burst_mean_us for each in points]),
        delay_p99_us=_spread([each.delay_p99_us for each in points]),
        delay_p50_us=_spread([each.delay_p50_us for each in points]),
        cpus_used=_spread([each.run_share for each in points]),
        series=_thinned(points, wanted.points, time.time()) if points else None,
    )


get_signals = Tool(
    name="get_signals",
    title="Signals of a workload or of the machine",
    description="With a workload, how its response time (wakeup to next sleep), completions, "
    "run-queue delay, slices and CPU use went over time, and under which scheduler. Without, "
    "the machine's utilisation, CPU pressure and counters.",
    arguments=SignalsArguments,
    answer=Signals,
    run=_get_signals,
    annotations=reads("Signals of a workload or of the machine"),
)
