# SPDX-License-Identifier: GPL-2.0-only
"""Which processes a workload is made of, from /proc.

Processes come and go while we look: one that vanishes is passed over. Everything they say of
themselves is hostile text, and leaves here cut and escaped.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import psutil

from daemon.api.display import displayable
from daemon.api.models import ProcessView

PROC = Path("/proc")
# What is shown of one process, characters.
NAME_LIMIT = 64
COMMAND_LIMIT = 300


def processes_of(workload_id: str, limit: int = 20) -> list[ProcessView]:
    """Up to `limit` processes of a workload, lowest process id first.

    `cgroup:/path` is every process in just that cgroup (version 2); `comm:name` every process of
    that command name or with a thread of that name. Reads one or more files of /proc for each
    process of the machine: some 20 us each, so call it in a thread.
    """
    kind, _, name = workload_id.partition(":")
    pids = _in_cgroup(name) if kind == "cgroup" else _of_name(name) if kind == "comm" else ()
    found: list[ProcessView] = []
    for pid in pids:
        view = _view(pid)
        if view is not None:
            found.append(view)
        if len(found) >= limit:
            break
    return found


def _pids() -> list[int]:
    return sorted(psutil.pids())


def _text(path: Path) -> str:
    """A small file of /proc, bytes that are no UTF-8 kept as surrogates; empty where it is gone."""
    with contextlib.suppress(OSError):
        return path.read_bytes().decode("utf-8", "surrogateescape")
    return ""


def _in_cgroup(path: str) -> Iterator[int]:
    wanted = _comparable(path)
    for pid in _pids():
        for line in _text(PROC / str(pid) / "cgroup").split("\n"):
            # The unified hierarchy is number 0 and names no controllers.
            if line.startswith("0::") and _comparable(line.removeprefix("0::")) == wanted:
                yield pid


def _of_name(name: str) -> Iterator[int]:
    wanted = _comparable(name)
    for pid in _pids():
        folder = PROC / str(pid)
        if _comparable(_comm(folder / "comm")) == wanted:
            yield pid
            continue
        with contextlib.suppress(OSError):
            threads = (folder / "task").iterdir()
            if any(_comparable(_comm(each / "comm")) == wanted for each in threads):
                yield pid


def _comm(path: Path) -> str:
    # One line end is the kernel's; more are part of the name.
    return _text(path).removesuffix("\n")


def _comparable(text: str) -> str:
    """Names as they compare: an id has been through JSON, where odd bytes became U+FFFD."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _view(pid: int) -> ProcessView | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            # psutil completes a name cut by the kernel from the command line, which the process
            # may have written itself; what the kernel has is what signals are counted under.
            name = _comm(PROC / str(pid) / "comm") or process.name()
            return ProcessView(
                pid=pid,
                name=displayable(name, NAME_LIMIT),
                command=displayable(" ".join(process.cmdline()), COMMAND_LIMIT),
                threads=process.num_threads(),
                user=displayable(process.username(), NAME_LIMIT),
            )
    except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
        return None
