# SPDX-License-Identifier: GPL-2.0-or-later
"""Looks at one workload for less than a second, and describes it.

The look is bounded: processes of the machine, threads of the workload, samples, and the length of
all output.
"""

import os
import pwd
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpf.common.workload_id import WorkloadId, parse_workload_id, readable, workload_of
from bpf.signals.source import SignalsLine
from daemon.api.display import displayable
from daemon.api.models import (
    CountersView,
    DelayView,
    KindView,
    PressureView,
    ProcessNode,
    ProfileView,
    ProgramKind,
    Responses,
    WorkloadProfileView,
)
from daemon.understanding import cgroups, kinds, sentences, tree
from daemon.understanding.kinds import JudgedProcess, by_company, by_libraries, judged, summed_up
from daemon.understanding.measure_hints import KnownWorkload, listening, measure_hints
from daemon.understanding.proc import Proc, Process, read
from daemon.understanding.secrets import shown
from daemon.understanding.threads import groups_of, parallelism_of, waits_of
from daemon.understanding.watching import Eye, WatchedStretch, members, watched

# When it stops looking for processes, and when altogether, at the latest, seconds. On a machine
# that is not heavily overcommitted it takes a third of that.
FOUND_S = 0.8
MOST_S = 1.8
# How many processes' libraries are read.
MOST_MAPPED = 3
MOST_ABOVE = 4
NAME_LIMIT = 64


@dataclass(frozen=True)
class MeasuredWorkload:
    """The daemon's knowledge of a workload before a look: its last minutes."""

    profile: ProfileView
    line: SignalsLine | None
    interval_s: float


def understand(
    workload: str, measured: MeasuredWorkload, eye: Eye | None = None
) -> WorkloadProfileView:
    """What a workload is, does and waits for. Takes about half a second: call it in a thread.

    Raises:
        Fault: BAD_NAME.
    """
    eye = eye or Eye()
    wanted = parse_workload_id(workload)
    began = eye.clock()
    processes, whole = members(wanted, eye, began + FOUND_S)
    seen = watched(processes, eye, began + MOST_S)
    parents = {pid: each.stat.parent for pid, each in seen.processes.items()}
    above = _above(seen.processes, eye.proc)
    cgroup = _cgroup(seen.processes, wanted, eye.proc)
    unit = cgroups.unit_of(cgroup)
    by_itself = _judgements(seen, unit, above, measured, eye.proc)
    together = kinds.with_company(by_itself, parents)
    line = measured.line
    folder = cgroups.folder_of(cgroup) if cgroup not in (b"", b"/") else None
    running = sum(seen.cpu_s.values()) / seen.seconds if seen.seconds else 0.0
    view = WorkloadProfileView(
        workload=workload,
        at=time.time(),
        cgroup=displayable(readable(cgroup), 200),
        unit=displayable(unit, NAME_LIMIT),
        started_by=[displayable(name, NAME_LIMIT) for name in above],
        tags=measured.profile.tags,
        purposes=measured.profile.purposes,
        figures={name: round(value, 3) for name, value in measured.profile.figures.items()},
        kinds=_kinds(seen, together),
        processes=_nodes(seen, parents, together),
        processes_total=len(seen.processes),
        threads=groups_of(list(seen.threads.values())),
        threads_total=seen.threads_total,
        threads_looked_at=len(seen.threads),
        parallelism=parallelism_of(seen.looks, running),
        waits=waits_of(list(seen.threads.values()), seen.looks, seen.io, seen.seconds or 1.0),
        delay=_delay(workload, measured),
        pressure=_pressure(folder, eye.proc),
        limits=cgroups.limits_in(folder) if folder else None,
        counters=_counters(line),
        counters_note=_counters_note(line),
        measures=measure_hints(_known(seen, together, unit, eye.proc)),
        **measured.profile.model_dump(include=set(Responses.model_fields)),
        took_ms=round((eye.clock() - began) * 1000, 1),
    )
    cpus = line.machine.cpus if line else os.cpu_count() or 1
    told = any(each.sleeps_in for each in seen.threads.values())
    return view.model_copy(
        update={
            "sure_of": sentences.sure_of(view, measured.profile.sure_of, cpus),
            "not_known": sentences.not_known(
                view, functions_told=told, io_told=seen.io is not None, whole=whole
            ),
        }
    )


def _known(
    seen: WatchedStretch, together: Mapping[int, JudgedProcess], unit: str, proc: Proc
) -> KnownWorkload:
    busiest = sorted(seen.processes, key=lambda pid: -seen.cpu_s.get(pid, 0.0))[:MOST_MAPPED]
    return KnownWorkload(
        processes=tuple(seen.processes.values()),
        kinds=[each.kind for each in _kinds(seen, together)],
        unit=unit,
        ports={
            port
            for pid in busiest
            for name in ("tcp", "tcp6")
            for port in listening(
                read(proc.root / str(pid) / "net" / name), seen.processes[pid].user_id
            )
        },
        libraries={name for pid in busiest for name in proc.libraries(pid)},
    )


def _above(processes: Mapping[int, Process], proc: Proc) -> list[str]:
    """The programs that started the workload: the names above its topmost process,
    nearest first.
    """
    tops = [each for each in processes.values() if each.stat.parent not in processes]
    if not tops or tops[0].stat.kernel_thread:
        return []
    names: list[str] = []
    pid = tops[0].stat.parent
    while pid > 1 and len(names) < MOST_ABOVE:
        stat = proc.stat(pid)
        if stat is None:
            break
        names.append(stat.comm)
        pid = stat.parent
    return names


def _cgroup(processes: Mapping[int, Process], wanted: WorkloadId, proc: Proc) -> bytes:
    """The kernel's path for a process that is still in the workload."""
    for pid in processes:
        if workload_of(pid, proc.root) == wanted and (path := proc.cgroup(pid)):
            return path
    return b""


def _judgements(
    seen: WatchedStretch, unit: str, above: Sequence[str], measured: MeasuredWorkload, proc: Proc
) -> dict[int, JudgedProcess]:
    found = {pid: judged(each) for pid, each in seen.processes.items()}
    busiest = sorted(found, key=lambda pid: -seen.cpu_s.get(pid, 0.0))
    for pid in [pid for pid in busiest if found[pid].kind in kinds.WEAK][:MOST_MAPPED]:
        guess = by_libraries(proc.libraries(pid))
        if guess is not kinds.UNKNOWN:
            found[pid] = guess
    if found and all(each.kind in kinds.WEAK for each in found.values()):
        # Its behaviour while it is starved suggests nothing.
        sure = [tag for tag in measured.profile.tags if tag not in measured.profile.doubtful]
        guess = by_company(unit, above, sure)
        for pid, each in found.items():
            if each.kind is ProgramKind.UNKNOWN and guess is not kinds.UNKNOWN:
                found[pid] = guess
    return found


def _kinds(seen: WatchedStretch, together: Mapping[int, JudgedProcess]) -> list[KindView]:
    ran = sum(seen.cpu_s.values()) > 0
    return summed_up(
        (each, seen.cpu_s.get(pid, 0.0) if ran else 1.0) for pid, each in together.items()
    )


def _nodes(
    seen: WatchedStretch, parents: Mapping[int, int], together: Mapping[int, JudgedProcess]
) -> list[ProcessNode]:
    nodes = []
    for pid, depth in tree.shown(parents, seen.cpu_s):
        process = seen.processes[pid]
        parent = process.stat.parent
        nodes.append(
            ProcessNode(
                pid=pid,
                parent=parent if parent in seen.processes else 0,
                depth=depth,
                name=displayable(process.stat.comm, NAME_LIMIT),
                command=displayable(shown(process.arguments), 2 * 160),
                user=_user(process.user_id),
                threads=process.stat.threads,
                cpu_share=round(seen.cpu_s.get(pid, 0.0) / seen.seconds, 3)
                if seen.seconds
                else 0.0,
                kind=together[pid].kind,
            )
        )
    return nodes


def _user(id: int) -> str:
    try:
        return displayable(pwd.getpwuid(id).pw_name, NAME_LIMIT)
    except KeyError:
        return str(id)


def _delay(workload: str, measured: MeasuredWorkload) -> DelayView | None:
    line = measured.line
    signals = line.workload(workload) if line else None
    if line is None or signals is None or not signals.delay_us.count:
        return None
    each = signals.delay_us
    return DelayView(
        p50_us=round(each.p50, 1),
        p90_us=round(each.p90, 1),
        p99_us=round(each.p99, 1),
        max_us=round(each.max, 1),
        count=each.count,
        seconds=round(line.interval_s, 2),
    )


def _pressure(folder: Path | None, proc: Proc) -> list[PressureView]:
    machine = [proc.pressure(of) for of in ("cpu", "io", "memory")]
    found = []
    if folder is not None:
        own = cgroups.pressure_in(folder)
        if (own.cpu, own.io, own.memory) != (None, None, None):
            found.append(PressureView(scope="workload", cpu=own.cpu, io=own.io, memory=own.memory))
    if machine != [None, None, None]:
        found.append(
            PressureView(scope="machine", cpu=machine[0], io=machine[1], memory=machine[2])
        )
    return found


def _counters(line: SignalsLine | None) -> CountersView | None:
    perf = line.machine.perf if line else None
    if perf is None or not perf.instructions:
        return None
    return CountersView(
        instructions_per_cycle=(round(perf.instructions / perf.cycles, 3) if perf.cycles else None),
        cache_misses_per_1000=(
            round(1000 * perf.cache_misses / perf.instructions, 3)
            if perf.cache_misses is not None
            else None
        ),
    )


def _counters_note(line: SignalsLine | None) -> str:
    if _counters(line) is not None:
        return "counted on the whole machine, not for this workload alone"
    note = line.machine.perf_note if line else None
    return f"no hardware counters here{f': {displayable(note, 80)}' if note else ''}"
