# SPDX-License-Identifier: GPL-2.0-or-later
"""Whose threads a probe observes, as numbers for its C. No name gets into the C."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from bpf.common.workload_id import (
    PROC,
    WorkloadId,
    WorkloadKind,
    cgroup_of,
    parse_workload_id,
    readable,
    workload_of,
)
from process import Fault, FaultType

# The mount points of the unified hierarchy: alone, or beside the first version's.
_MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_COMM_BYTES = 16
MOST_PROCESSES = 16384
# The number of futex(2) by machine; x86's for all others.
_FUTEX = {"x86_64": 202, "aarch64": 98, "riscv64": 98}

EVERYBODY, THE_CGROUP, THE_NAME, THE_PROCESSES = 0, 1, 2, 3


@dataclass(frozen=True)
class Whose:
    """As in common.c. `processes` are the existing ones."""

    whose: int = EVERYBODY
    cgroup: int = 0
    name_low: int = 0
    name_high: int = 0
    processes: tuple[int, ...] = ()
    futex: int = _FUTEX.get(platform.machine(), 202)


def whose(workload: str | None, proc: Path = PROC) -> Whose:
    """The threads to observe for a workload; everybody's without one.

    Raises:
        Fault: BAD_NAME, NOT_FOUND if no process belongs to it, BAD_REQUEST for `other`.
    """
    if workload is None:
        return Whose()
    wanted = parse_workload_id(workload)
    if wanted.kind in (WorkloadKind.OTHER, WorkloadKind.CGROUP_ID):
        raise Fault(
            FaultType.BAD_REQUEST,
            f"a probe cannot distinguish the tasks of `{wanted.kind}` from others",
            hint="leave the workload out to look at the whole machine",
        )
    pids = sorted(
        int(each.name)
        for each in proc.iterdir()
        if each.name.isdecimal() and workload_of(int(each.name), proc) == wanted
    )
    if not pids:
        raise Fault(
            FaultType.NOT_FOUND,
            "no process of this workload is running",
            where=workload[:200],
            hint="`schedpilot top --once` lists recent workloads",
        )
    if wanted.kind is WorkloadKind.CGROUP:
        return Whose(THE_CGROUP, cgroup=_cgroup_number(pids, wanted, proc))
    processes = tuple(pids[:MOST_PROCESSES])
    if wanted.kind is WorkloadKind.KTHREAD:
        # Their names have a unique part; new ones are not observed.
        return Whose(THE_PROCESSES, processes=processes)
    low, high = _name_numbers(pids, proc)
    return Whose(THE_NAME, name_low=low, name_high=high, processes=processes)


def _cgroup_number(pids: list[int], wanted: WorkloadId, proc: Path) -> int:
    """The id of the cgroup, which is its folder's inode (bpf_get_current_cgroup_id(), bpf(2))."""
    mount = next((each for each in _MOUNTS if (each / "cgroup.controllers").exists()), None)
    for pid in pids if mount else ():
        try:
            path = cgroup_of((proc / str(pid) / "cgroup").read_bytes())
            if readable(path) != wanted.name:
                continue
            if b".." in path.split(b"/"):
                break
            return os.stat(os.fsencode(mount or "") + path).st_ino  # noqa: PTH116 - of bytes
        except OSError:
            continue
    raise Fault(
        FaultType.NOT_FOUND,
        "the cgroup's folder cannot be found",
        where=str(wanted)[:200],
        why="it is gone, or lies outside the daemon's view",
    )


def _name_numbers(pids: list[int], proc: Path) -> tuple[int, int]:
    """The sixteen bytes of a process' name as two numbers; the kernel's own, not the client's."""
    for pid in pids:
        try:
            name = (proc / str(pid) / "comm").read_bytes().removesuffix(b"\n")
        except OSError:
            continue
        padded = name[: _COMM_BYTES - 1].ljust(_COMM_BYTES, b"\0")
        return int.from_bytes(padded[:8], "little"), int.from_bytes(padded[8:], "little")
    return 0, 0
