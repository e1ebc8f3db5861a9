# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the scheduler in the kernel is the one that was just started.

The kernel has room for one. Between two it goes through `disabling`, `disabled`, `enabling` and
`enabled`, and anybody may load one meanwhile. So the kernel's state counts as ours only if the
previous scheduler was completely gone first, if more were enabled since then, if the name fits,
and, as far as that is visible, if a process of ours holds it.
"""

import asyncio
import contextlib
from enum import StrEnum
from pathlib import Path

from bpf.kernel import sysfs
from bpf.kernel.sysfs import KernelState
from process import Fault, FaultType
from process.pace import within
from scheduler_library.external import is_ops_of, ops_name

PROC = Path("/proc")
# How long a scheduler may take to load or unload, seconds. scx_lavd takes more than 20 s to leave
# an emulated machine.
SETTLE_S = 60.0
POLL_S = 0.05


class Confirmation(StrEnum):
    """What the kernel's state says about the started scheduler."""

    NOT_YET = "not yet"
    OURS = "ours"
    ANOTHER = "another's"


def judge(before: KernelState, now: KernelState, program: str, holds: bool | None) -> Confirmation:
    """Whether `now` confirms the scheduler of `program`. Pure.

    Args:
        before: the state once the previous scheduler was completely gone.
        holds: whether a process of ours holds a scheduler; None if that is not visible.
    """
    if now.state != "enabled" or now.enable_seq <= before.enable_seq:
        return Confirmation.NOT_YET
    if not is_ops_of(now.ops, program):
        return Confirmation.ANOTHER
    if holds is None:
        return Confirmation.OURS
    if holds:
        return Confirmation.OURS
    # If the program's name does not determine it, the scheduler's name proves nothing: it may yet
    # turn out to be ours, because the kernel enables a scheduler a moment before the program gets
    # its link.
    return Confirmation.ANOTHER if ops_name(program) else Confirmation.NOT_YET


def holds_scheduler(pid: int, proc: Path = PROC) -> bool | None:
    """Whether this process, or one of its session, holds a scheduler in the kernel.

    None if that may not be seen. A BPF link of the type `struct_ops` holds one.
    """
    blind = False
    for each in {pid, *_session(pid, proc)}:
        try:
            for name in (proc / str(each) / "fdinfo").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    lines = name.read_text("ascii", "replace").splitlines()
                    if any(line.split() == ["link_type:", "struct_ops"] for line in lines):
                        return True
        except PermissionError:
            blind = True
        except OSError:  # it has ended
            continue
    return None if blind else False


def _session(pid: int, proc: Path) -> list[int]:
    """The processes of the session that `pid` leads."""
    found = []
    for path in proc.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            # The name is in brackets and may contain anything, including brackets.
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(fields[3]) == pid:
                found.append(int(path.parent.name))
    return found


async def until_free(name: str, sysfs_root: Path) -> KernelState:
    """The kernel's state once no scheduler is in it and none is loading or unloading.

    Args:
        name: the scheduler to load, for a fault.

    Raises:
        Fault: FOREIGN_SCHEDULER if one stays, or does not settle.
    """
    state = sysfs.read(sysfs_root)
    try:
        async with within(SETTLE_S) as limit:
            while state.state in ("disabling", "enabling"):
                await asyncio.sleep(POLL_S)
                state = sysfs.read(sysfs_root)
    except TimeoutError:
        leaving = "leaving" if state.state == "disabling" else "coming"
        raise Fault(
            FaultType.FOREIGN_SCHEDULER,
            f"{name} was not loaded",
            why=f"another scheduler{_called(state)} was still {leaving} after {limit.words()}",
            hint="try again when it is gone; /sys/kernel/sched_ext/state says `disabled` then",
        ) from None
    if state.state == "enabled":
        raise Fault(
            FaultType.FOREIGN_SCHEDULER,
            f"{name} was not loaded",
            why=f"another scheduler{_called(state)} is in the kernel and was not loaded by "
            "schedpilot",
            hint="stop the service or program that loaded it, then try again",
        )
    return state


async def until_left(ops: str, sysfs_root: Path) -> None:
    """Wait, for a while, until the kernel has released the scheduler of this name."""
    with contextlib.suppress(TimeoutError):
        async with within(SETTLE_S):
            while True:
                state = sysfs.read(sysfs_root)
                if state.state not in ("enabled", "disabling") or state.ops not in ("", ops):
                    return
                await asyncio.sleep(POLL_S)


def _called(state: KernelState) -> str:
    return f", {state.ops!r}," if state.ops else ""
