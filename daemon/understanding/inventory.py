# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of a workload, from /proc.

Processes come and go meanwhile: one that vanishes is skipped. All their own text is hostile, and
leaves here cut and escaped, without parts that look like secrets.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

import psutil

from bpf.common.workload_id import parse_workload_id, readable, workload_of
from daemon.api.display import displayable
from daemon.api.models import ProcessView
from daemon.understanding.secrets import shown

PROC = Path("/proc")
# How much is shown of one process, characters.
NAME_LIMIT = 64
COMMAND_LIMIT = 300
# How many names are listed for one workload.
MOST_NAMES = 32


def processes_of(workload_id: str, limit: int = 20) -> list[ProcessView]:
    """Up to `limit` processes that belong to a workload now, lowest process id first.

    A cgroup's processes are those directly in it. Reads a few files of /proc for each process of
    the machine, some 50 us each: call it in a thread.

    Raises:
        Fault: BAD_NAME.
    """
    wanted = parse_workload_id(workload_id)
    found: list[ProcessView] = []
    for pid in sorted(psutil.pids()):
        if len(found) >= limit:
            break
        if workload_of(pid) == wanted and (view := _view(pid)) is not None:
            found.append(view)
    return found


def names_of(workload_ids: Iterable[str]) -> dict[str, list[str]]:
    """The names of the processes of some workloads, each once. Reads two files of /proc for each
    process of the machine: call it in a thread."""
    wanted = {parse_workload_id(each): each for each in workload_ids}
    found: dict[str, dict[str, None]] = {}
    for pid in psutil.pids():
        id = workload_of(pid)
        if id is None or id not in wanted:
            continue
        names = found.setdefault(wanted[id], {})
        if len(names) < MOST_NAMES:
            with contextlib.suppress(OSError):
                name = (PROC / str(pid) / "comm").read_bytes().removesuffix(b"\n")
                names[readable(name)] = None
    return {id: list(names) for id, names in found.items()}


def _view(pid: int) -> ProcessView | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            # psutil completes a name that the kernel cut from the command line, which the process
            # may have written itself; signals use the kernel's.
            name = readable((PROC / str(pid) / "comm").read_bytes().removesuffix(b"\n"))
            return ProcessView(
                pid=pid,
                name=displayable(name, NAME_LIMIT),
                command=displayable(shown(process.cmdline()), COMMAND_LIMIT),
                threads=process.num_threads(),
                user=displayable(process.username(), NAME_LIMIT),
            )
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return None
