# SPDX-License-Identifier: GPL-2.0-only
"""Holding one scheduler in the kernel: our own through the runner, or an installed one.

A `Held` exists only while the kernel has confirmed the scheduler. Whatever becomes of this
process, the kernel's own scheduler comes back: the runner detaches when its lease or its
standard input ends, an installed scheduler gets a death signal with us.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bpf import sysfs
from bpf.runner import Runner
from bpf.runner_lines import Detached, Exited, Stats
from daemon.api.models import ParameterValue
from process import Fault, FaultType, LineChild, start_lines
from scheduler_library.policy.facts import Facts

# How long an installed scheduler may take until sysfs confirms it, seconds. The Rust ones
# open, tune and load a large object first.
EXTERNAL_START_S = 30.0
# How often sysfs is read while waiting for it, seconds.
EXTERNAL_POLL_S = 0.1
LEASE_RAN_OUT = (
    "its lease ran out: the daemon was not given the time to renew it, which most likely means "
    "that this scheduler let it wait"
)


@dataclass(frozen=True)
class Loadable:
    """A proven candidate, ready to meet the kernel.

    Exactly one of `object` (ours, built) and `command` (installed) is given. `ops` is the
    name the kernel will show; empty where only the binary knows it. `facts` is what it has to be
    told while it runs, beside what its maps ask for.
    """

    candidate: str
    name: str
    ops: str = ""
    object: Path | None = None
    command: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True)
class Gone:
    """Why a scheduler is no longer in the kernel.

    `by_kernel`: it was thrown out, by the kernel or by the lease that nobody could renew.
    `restart`: it asked to be loaded afresh (CPU hotplug).
    """

    reason: str
    by_kernel: bool
    dump: str = ""
    restart: bool = False


def require_sched_ext(sysfs_root: Path = sysfs.ROOT) -> None:
    """Raises Fault UNSUPPORTED on a kernel that can load no scheduler."""
    if not sysfs.read(sysfs_root).supported:
        raise Fault(
            FaultType.UNSUPPORTED,
            "this kernel has no sched_ext",
            where=str(sysfs_root),
            hint="boot a kernel with CONFIG_SCHED_CLASS_EXT=y (6.12 or later), "
            "or try in the lab: schedpilot lab run",
        )


class Held(Protocol):
    """One scheduler in the kernel, confirmed by sysfs."""

    ops: str

    async def renew(self) -> None: ...
    async def set(self, name: str, value: ParameterValue) -> None: ...
    async def put(self, map: str, key: int, value: int) -> None: ...
    async def remove(self, map: str, key: int) -> None: ...
    async def detach(self) -> None: ...
    async def gone(self) -> Gone: ...


def _key(map: str, key: int) -> bytes:
    if not 0 <= key < 2**32:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{key} is no key of the map {map!r}",
            why="a key is a number of 32 bits",
        )
    return key.to_bytes(4, "little")


class RunnerHeld:
    """Held by `schedpilot-runner`."""

    def __init__(self, runner: Runner, ops: str) -> None:
        self.ops = ops
        self._runner = runner
        self._gone: asyncio.Future[Gone] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        gone = Gone("the runner ended without a word", by_kernel=False)
        async for line in self._runner.events():
            if isinstance(line, Exited):
                gone = Gone(
                    line.explain(),
                    by_kernel=not line.by_request,
                    dump=line.dump,
                    restart=line.restart,
                )
            elif isinstance(line, Detached) and line.why == "lease":
                # The lease is shorter than the kernel's watchdog: what kept us from renewing it
                # is most likely the scheduler itself, which schedules us, too.
                gone = Gone(LEASE_RAN_OUT, by_kernel=True)
            elif isinstance(line, Detached):
                gone = Gone(f"detached: {line.why}", by_kernel=False)
            elif isinstance(line, Stats):
                continue
        if not self._gone.done():
            self._gone.set_result(gone)

    async def renew(self) -> None:
        await self._runner.renew()

    async def set(self, name: str, value: ParameterValue) -> None:
        await self._runner.set(name, value)

    async def put(self, map: str, key: int, value: int) -> None:
        await self._runner.put(map, _key(map, key), value.to_bytes(8, "little"))

    async def remove(self, map: str, key: int) -> None:
        await self._runner.remove(map, _key(map, key))

    async def detach(self) -> None:
        await self._runner.detach()
        await self.gone()

    async def gone(self) -> Gone:
        return await asyncio.shield(self._gone)


class ExternalHeld:
    """An installed scheduler (the scx_* family), a child of ours with a death signal."""

    def __init__(self, child: LineChild, ops: str, said: list[str]) -> None:
        self.ops = ops
        self._child = child
        self._said = said
        self._ending = False

    async def renew(self) -> None:
        """Nothing to renew: its lease is our own life, and the watchdog guards that."""

    async def set(self, name: str, value: ParameterValue) -> None:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"cannot set {name!r} to {value!r} while it runs",
            why="an installed scheduler takes its options only when it starts",
            hint="make a new candidate with these parameters and start a trial",
        )

    async def put(self, map: str, key: int, value: int) -> None:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"cannot fill the map {map!r}",
            why="an installed scheduler keeps its maps to itself",
        )

    async def remove(self, map: str, key: int) -> None:
        await self.put(map, key, 0)

    async def detach(self) -> None:
        self._ending = True
        await self._child.end()

    async def gone(self) -> Gone:
        status = await self._child.wait()
        if self._ending:
            return Gone("detached: request", by_kernel=False)
        last = self._said[-1] if self._said else "it said nothing"
        return Gone(f"ended by itself with status {status}: {last}", by_kernel=True)


async def hold(what: Loadable, *, lease_s: float, sysfs_root: Path = sysfs.ROOT) -> Held:
    """Load a scheduler and return when the kernel confirms it.

    Raises:
        Fault: VERIFIER_REFUSED, LOAD_FAILED, EJECTED, NOT_BPF, FOREIGN_SCHEDULER, MISSING_TOOL.
    """
    if what.object is not None:
        runner = await Runner.start(what.object, parameters=dict(what.parameters), lease_s=lease_s)
        return RunnerHeld(runner, runner.attached.ops)
    return await _hold_external(what, sysfs_root)


async def _hold_external(what: Loadable, sysfs_root: Path) -> Held:
    before = sysfs.read(sysfs_root)
    said: list[str] = []

    def remember(line: str) -> None:
        said.append(line)
        del said[:-50]

    # The death signal ends it with us, even when we are killed.
    child = await start_lines(
        ["setpriv", "--pdeathsig", "TERM", "--", *what.command], on_error_line=remember
    )
    drain = asyncio.create_task(_drain(child.lines()))
    try:
        async with asyncio.timeout(EXTERNAL_START_S):
            while True:
                now = sysfs.read(sysfs_root)
                if now.state == "enabled" and now.enable_seq > before.enable_seq:
                    held = ExternalHeld(child, now.ops, said)
                    held._drain = drain  # type: ignore[attr-defined]
                    return held
                if child.status is not None:
                    raise Fault(
                        FaultType.LOAD_FAILED,
                        f"{what.name} ended with status {child.status} before it was enabled",
                        details=tuple(said[-10:]),
                        hint="run it by hand to see what it needs",
                    )
                await asyncio.sleep(EXTERNAL_POLL_S)
    except BaseException as trouble:
        with contextlib.suppress(ProcessLookupError):
            await child.end()
        if isinstance(trouble, TimeoutError):
            raise Fault(
                FaultType.LOAD_FAILED,
                f"{what.name} was not enabled within {EXTERNAL_START_S:g} s",
                details=tuple(said[-10:]),
            ) from None
        raise


async def _drain(lines: AsyncIterator[bytes]) -> None:
    async for _ in lines:
        pass
