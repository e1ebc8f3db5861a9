# SPDX-License-Identifier: GPL-2.0-or-later
"""The id of a workload: `KIND:NAME`, the same in the C program and everywhere else.

A task belongs to its cgroup; tasks of the root cgroup are grouped by the command name of their
process, kernel threads by their name up to the first `/`. The owner chooses names: control
characters stay in them, and bytes that are not UTF-8 appear as `\\xNN`. Escape names where they are
shown.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from process import Fault, FaultType

# PATH_MAX bytes, each of which may need four characters.
MAX_LENGTH = 4 * 4096 + 16
PF_KTHREAD = 0x00200000
PROC = Path("/proc")


class WorkloadKind(StrEnum):
    """How tasks are grouped."""

    CGROUP = "cgroup"
    CGROUP_ID = "cgroup-id"  # a cgroup that was gone before its path could be read
    COMM = "comm"
    KTHREAD = "kthread"
    OTHER = "other"  # everything that got no account of its own


@dataclass(frozen=True)
class WorkloadId:
    """A workload's id in its two parts; `name` is empty for `other`."""

    kind: WorkloadKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


def parse_workload_id(text: str) -> WorkloadId:
    """The two parts of an id.

    Raises:
        Fault: BAD_NAME.
    """
    kind, _, name = text.partition(":")
    if kind not in list(WorkloadKind) or bool(name) == (kind == "other") or len(text) > MAX_LENGTH:
        shown = ascii(text[:80])
        raise Fault(
            FaultType.BAD_NAME,
            f"{shown} is not the id of a workload",
            why="an id is `cgroup:/PATH`, `comm:NAME`, `kthread:NAME` or `other`",
            hint="take ids from the list of workloads",
        )
    return WorkloadId(WorkloadKind(kind), name)


def readable(name: bytes) -> str:
    """A kernel name as text: bytes that are not UTF-8 become `\\xNN`."""
    return name.decode("utf-8", "backslashreplace")


def cgroup_of(raw: bytes) -> bytes:
    """The path in /proc/PID/cgroup; empty if the process has no cgroup of version 2."""
    # Only a newline ends a line: a name may contain anything else, even a carriage return.
    for line in raw.split(b"\n"):
        if line.startswith(b"0::"):
            return line[3:]
    return b""


def cgroup_in(folder: Path) -> str:
    """The cgroup path of the process with this folder in /proc; empty if it has none.

    Raises:
        OSError: the process is gone.
    """
    return readable(cgroup_of((folder / "cgroup").read_bytes()))


def workload_of(pid: int, proc: Path = PROC) -> WorkloadId | None:
    """The workload to which a process belongs now; None if it is gone.

    The same rule as `find_account` in signals.bpf.c.
    """
    folder = proc / str(pid)
    try:
        cgroup = cgroup_in(folder)
        if cgroup not in ("", "/"):
            return WorkloadId(WorkloadKind.CGROUP, cgroup)
        comm = (folder / "comm").read_bytes().removesuffix(b"\n")
        # The name is in parentheses, and may contain parentheses itself; the flags are field 9.
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
        kernel_thread = bool(int(fields[6]) & PF_KTHREAD)
    except (OSError, IndexError, ValueError):
        return None
    if kernel_thread:
        return WorkloadId(WorkloadKind.KTHREAD, readable(comm.partition(b"/")[0]))
    return WorkloadId(WorkloadKind.COMM, readable(comm))
