# SPDX-License-Identifier: GPL-2.0-or-later
"""The available probes, and what each lacks on this machine.

Nothing is run to find out, so that anybody may ask: only files are checked.
"""

import os
import platform
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PYTHON = Path("/usr/bin/python3")
_CAP_SYS_ADMIN = 21
# The first version with BPF_TRACE_UPROBE_MULTI, which needs no perf event.
_UPROBE_SINCE = (6, 6)
# Where distributions put the module; `pip` has no such package under this name.
_MODULES = (
    "usr/lib/python3/dist-packages/bcc",
    "usr/lib/python3*/site-packages/bcc",
    "usr/local/lib/python3*/*-packages/bcc",
)


class BccProbe(StrEnum):
    RUNQLAT = "runqlat"
    OFFCPU = "offcpu"
    WAKEUPS = "wakeups"
    ONCPU = "oncpu"
    SYSCALLS = "syscalls"
    FUTEX = "futex"
    UPROBE = "uprobe"
    CHAINS = "chains"
    PREEMPTED_LOCKS = "preempted-locks"


@dataclass(frozen=True)
class About:
    """The question that a probe answers, and what answers part of it without BCC."""

    question: str
    instead: str


ABOUT: dict[BccProbe, About] = {
    BccProbe.RUNQLAT: About(
        "how long do its threads wait for a CPU, after a wakeup and after they had to leave, and "
        "take from a wakeup to their next sleep?",
        "the daemon's own signals have this of whole workloads: the probe answers from them",
    ),
    BccProbe.OFFCPU: About(
        "what are its threads off the CPU for, and for how long?",
        "the profile counts states and, where it may, the places that threads sleep in",
    ),
    BccProbe.WAKEUPS: About(
        "who wakes whom, and how long does the woken wait?",
        "the signals have the rate of wakeups; a recording has who woke whom",
    ),
    BccProbe.ONCPU: About(
        "in which functions do its threads spend their CPU time?",
        "the profile has the CPU time of each process and thread; perf(1) by hand",
    ),
    BccProbe.SYSCALLS: About(
        "which system calls does it make, how long do they take, how often do they fail?",
        "`strace -c` by hand, which slows the workload down a lot",
    ),
    BccProbe.FUTEX: About(
        "do its threads wait for locks, for how many, and how long?",
        "the profile has the share of threads asleep on a futex, where it may see it",
    ),
    BccProbe.UPROBE: About(
        "how long do calls of one of its own functions take, and how often is it called?",
        "the program's own output: its log, its metrics page (`schedpilot measure`)",
    ),
    BccProbe.CHAINS: About(
        "which threads wake one another in a row, and how long is it from the first wakeup to the "
        "last sleep?",
        "the signals have the response time of each thread by itself, from its wakeup to its sleep",
    ),
    BccProbe.PREEMPTED_LOCKS: About(
        "do threads wait longer for locks because whoever holds them lost the CPU?",
        "the profile has how often threads are preempted, and the share asleep on a futex",
    ),
}


def missing(kind: BccProbe, root: Path = Path("/")) -> list[str]:
    """What keeps a probe from running here, each with what to do; empty if nothing is known to.

    Args:
        root: the file system to examine.
    """
    lacks = []
    if not (root / PYTHON.relative_to("/")).exists():
        lacks.append(f"the system's Python ({PYTHON})")
    if not any(any(root.glob(f"{each}/__init__.py")) for each in _MODULES):
        lacks.append("BCC for the system's Python (Debian: apt install python3-bpfcc)")
    if not headers(root):
        release = platform.release()
        lacks.append(
            f"the headers of the running kernel in /lib/modules/{release}/build (Debian: apt "
            f"install linux-headers-{release}), readable for the daemon"
        )
    if kind is BccProbe.UPROBE and _release(root) < _UPROBE_SINCE:
        lacks.append(f"Linux {'.'.join(map(str, _UPROBE_SINCE))} or newer")
    if kind is BccProbe.ONCPU and not _may_sample(root):
        lacks.append(
            "perf events: kernel.perf_event_paranoid is above 2, at which Debian's kernels ask for "
            "CAP_SYS_ADMIN (sysctl kernel.perf_event_paranoid=2)"
        )
    return lacks


def _release(root: Path) -> tuple[int, int]:
    """The running kernel's version, as far as it matters here; new enough if it is unknown."""
    try:
        found = re.match(r"(\d+)\.(\d+)", (root / "proc/sys/kernel/osrelease").read_text())
    except OSError:
        found = None
    return (int(found[1]), int(found[2])) if found else _UPROBE_SINCE


def headers(root: Path = Path("/")) -> bool:
    """Whether BCC finds headers to compile against."""
    build = root / "lib/modules" / platform.release() / "build"
    return os.access(build / "include", os.R_OK) or (root / "sys/kernel/kheaders.tar.xz").exists()


def _may_sample(root: Path) -> bool:
    """Whether this process may open a perf event that observes others."""
    try:
        level = int((root / "proc/sys/kernel/perf_event_paranoid").read_text())
        status = (root / "proc/self/status").read_text()
        held = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    except (OSError, ValueError, StopIteration):
        return True
    return level <= 2 or bool(int(held.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
