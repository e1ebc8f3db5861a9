# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds one scheduler in the kernel: our own through the runner, or an installed one.

An `Attachment` exists only while the kernel has confirmed the scheduler. Whatever happens to this
process, the kernel's own scheduler comes back: the runner detaches when its lease or its standard
input ends, an installed scheduler gets a death signal with us.
"""

import asyncio
import contextlib
import os
import platform
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bpf.kernel import config as kernel_config
from bpf.kernel import sysfs
from bpf.runner.lines import Detached, Exited, Stats
from bpf.runner.process import Runner
from daemon.api.models import ParameterValue
from daemon.lifecycle.confirmation import (
    PROC,
    Confirmation,
    holds_scheduler,
    judge,
    until_free,
    until_left,
)
from process import Fault, FaultType, LineChild, start_lines
from process.pace import within
from process.run import ending
from scheduler_library.external import is_ops_of
from scheduler_library.external_causes import (
    MOST_LINES,
    Around,
    explain,
    last_words,
    sentence,
    threw_out,
)
from scheduler_library.policy.facts import PolicyFacts

# How long it may take until sysfs confirms an installed scheduler, seconds. The Rust ones open,
# tune and load a large object first; one that fails ends by itself, and is not waited for.
EXTERNAL_START_S = 60.0
# How often sysfs is read while waiting for it, seconds.
EXTERNAL_POLL_S = 0.1
# How often sysfs is read while an installed scheduler runs, and how long the kernel may be without
# it before the program is ended: some reload themselves when CPUs come or go.
EXTERNAL_WATCH_S = 1.0
EXTERNAL_LOST_S = 15.0
LEASE_RAN_OUT = (
    "its lease ran out: the daemon was not given the time to renew it, most likely because this "
    "scheduler let it wait"
)


@dataclass(frozen=True)
class Loadable:
    """A proven candidate, ready to be loaded.

    Exactly one of `object` (ours, built) and `command` (installed) is given. `ops` is the name that
    the kernel will show; empty if only the binary knows it. `facts` lists what it needs while it
    runs, beside what its maps request.
    """

    candidate: str
    name: str
    ops: str = ""
    object: Path | None = None
    command: tuple[str, ...] = ()
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    facts: PolicyFacts = field(default_factory=PolicyFacts)


@dataclass(frozen=True)
class ExitReason:
    """Why a scheduler is no longer in the kernel.

    `by_kernel`: it was ejected by the kernel, or ended by its lease. `restart`: it asked to be
    reloaded (CPU hotplug).
    """

    reason: str
    by_kernel: bool
    dump: str = ""
    restart: bool = False


def thrown_out(what: Loadable, fault: Fault) -> bool:
    """Whether a failed load counts against the scheduler itself.

    It counts if the kernel ejected it while it was being enabled, or its verifier refused one that
    it had accepted before. A program that does not start does not count: most often the machine
    lacks something, or another scheduler is in its way.
    """
    if fault.type is FaultType.VERIFIER_REFUSED:
        return what.object is not None
    return fault.type is FaultType.EJECTED


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


class Attachment(Protocol):
    """One scheduler in the kernel, confirmed by sysfs."""

    ops: str

    async def renew(self) -> None: ...
    async def set(self, name: str, value: ParameterValue) -> None: ...
    async def put(self, map: str, key: int, value: int) -> None: ...
    async def remove(self, map: str, key: int) -> None: ...
    async def detach(self) -> None: ...
    async def gone(self) -> ExitReason: ...


def _key(map: str, key: int) -> bytes:
    if not 0 <= key < 2**32:
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{key} is not a key of the map {map!r}",
            why="a key is a number of 32 bits",
        )
    return key.to_bytes(4, "little")


class RunnerAttachment:
    """Held by `schedpilot-runner`."""

    def __init__(self, runner: Runner, ops: str) -> None:
        self.ops = ops
        self._runner = runner
        self._gone: asyncio.Future[ExitReason] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        gone = ExitReason("the runner ended without a message", by_kernel=False)
        async for line in self._runner.events():
            if isinstance(line, Exited):
                gone = ExitReason(
                    line.explain(),
                    by_kernel=not line.by_request,
                    dump=line.dump,
                    restart=line.restart,
                )
            elif isinstance(line, Detached) and line.why == "lease":
                # The lease is shorter than the kernel's watchdog: most likely the scheduler itself,
                # which also schedules us, kept us from renewing it.
                gone = ExitReason(LEASE_RAN_OUT, by_kernel=True)
            elif isinstance(line, Detached):
                gone = ExitReason(f"detached: {line.why}", by_kernel=False)
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

    async def gone(self) -> ExitReason:
        return await asyncio.shield(self._gone)


class ExternalAttachment:
    """An installed scheduler (the scx_* family), a child of ours with a death signal."""

    def __init__(
        self, child: LineChild, ops: str, said: deque[str], program: str, sysfs_root: Path
    ) -> None:
        self.ops = ops
        self._child = child
        self._said = said
        self._program = program
        self._root = sysfs_root
        self._ending = False
        self._watch = asyncio.create_task(self._until_gone())

    async def renew(self) -> None:
        """Nothing to renew: its lease is our own life, which the watchdog guards."""

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
            why="an installed scheduler does not share its maps",
        )

    async def remove(self, map: str, key: int) -> None:
        await self.put(map, key, 0)

    async def detach(self) -> None:
        # If it has ended already, we did not do it.
        self._ending = self._child.status is None
        await self._child.end()
        await until_left(self.ops, self._root)

    async def gone(self) -> ExitReason:
        return await asyncio.shield(self._watch)

    async def _until_gone(self) -> ExitReason:
        ended = asyncio.create_task(self._child.wait())
        without_s = 0.0
        while not ended.done():
            await asyncio.wait({ended}, timeout=EXTERNAL_WATCH_S)
            state = sysfs.read(self._root)
            there = state.state == "enabled" and is_ops_of(state.ops, self._program)
            without_s = 0.0 if there else without_s + EXTERNAL_WATCH_S
            if without_s > EXTERNAL_LOST_S and not self._ending:
                await self._child.end()
                why = sentence(self._said) or "the program printed nothing"
                return ExitReason(
                    f"it is no longer in the kernel: {why}",
                    by_kernel=True,
                    dump="\n".join(last_words(self._said)),
                )
        status = await ended
        # Its last output may still be on its way.
        await self._child.end()
        if self._ending:
            return ExitReason("detached: request", by_kernel=False)
        why = sentence(self._said) or "it printed nothing"
        return ExitReason(
            f"it {ending(status)} by itself: {why}",
            # A failing program is not a failing scheduler, as with our own runner.
            by_kernel=threw_out(self._said),
            dump="\n".join(last_words(self._said)),
        )


async def hold(
    what: Loadable, *, lease_s: float, sysfs_root: Path = sysfs.ROOT, proc: Path = PROC
) -> Attachment:
    """Load a scheduler and return when the kernel confirms it.

    A scheduler that is still leaving the kernel is waited for.

    Raises:
        Fault: VERIFIER_REFUSED, LOAD_FAILED, EJECTED, NOT_BPF, FOREIGN_SCHEDULER, MISSING_TOOL, and
            an installed one's reason for not starting (UNSUPPORTED, BAD_PARAMETER, …).
    """
    before = await until_free(what.name, sysfs_root)
    if what.object is not None:
        runner = await Runner.start(what.object, parameters=dict(what.parameters), lease_s=lease_s)
        return RunnerAttachment(runner, runner.attached.ops)
    return await _hold_external(what, before, sysfs_root, proc)


async def _hold_external(
    what: Loadable, before: sysfs.KernelState, sysfs_root: Path, proc: Path
) -> Attachment:
    program = Path(what.command[0]).name
    said: deque[str] = deque(maxlen=MOST_LINES)
    # The death signal ends it with us, even when we are killed.
    child = await start_lines(
        ["setpriv", "--pdeathsig", "TERM", "--", *what.command], on_error_line=said.append
    )
    # Some write their errors to standard output; and a full pipe must not block anybody.
    drain = asyncio.create_task(_drain(child, said))
    word, now = Confirmation.NOT_YET, before
    try:
        async with within(EXTERNAL_START_S) as limit:
            while True:
                now = sysfs.read(sysfs_root)
                holds = holds_scheduler(child.pid, proc) if now.state == "enabled" else None
                word = judge(before, now, program, holds)
                if child.status is not None:
                    break
                if word is Confirmation.OURS:
                    return ExternalAttachment(child, now.ops, said, program, sysfs_root)
                await asyncio.sleep(EXTERNAL_POLL_S)
        what_happened = f"{what.name} {ending(child.status)} before it was enabled"
    except TimeoutError:
        what_happened = f"{what.name} was not enabled within {limit.words()}"
    except BaseException:
        await _give_up(child, drain)
        raise
    await _give_up(child, drain)
    if word is Confirmation.OURS:
        # It was active for a moment; the next one needs its place.
        await until_left(now.ops, sysfs_root)
    raise _not_started(what, what_happened, list(said), word, now.ops)


async def _give_up(child: LineChild, drain: "asyncio.Task[None]") -> None:
    with contextlib.suppress(ProcessLookupError):
        await child.end()
    await asyncio.wait({drain}, timeout=EXTERNAL_POLL_S)


def _not_started(
    what: Loadable, what_happened: str, said: list[str], word: Confirmation, ops: str
) -> Fault:
    cause = explain(what.name, said, _around())
    if word is Confirmation.ANOTHER:
        return Fault(
            FaultType.FOREIGN_SCHEDULER,
            what_happened,
            why=f"another scheduler, {ops!r}, came into the kernel meanwhile",
            hint="stop the service or program that loaded it, then try again",
            details=last_words(said),
        )
    return Fault(
        cause.type, what_happened, why=cause.why, hint=cause.remedy, details=last_words(said)
    )


def _around() -> Around:
    """Facts about this machine beside a program's output."""

    def text(path: str) -> str:
        try:
            return Path(path).read_text("ascii", "replace").strip()
        except OSError:
            return ""

    # `none [integrity] confidentiality`
    locked = text("/sys/kernel/security/lockdown").partition("[")[2].partition("]")[0]
    return Around(
        config_remedy=kernel_config.find(platform.release()).remedy,
        lockdown="" if locked == "none" else locked,
        root=os.geteuid() == 0,
        isolated=text("/sys/devices/system/cpu/isolated"),
    )


async def _drain(child: LineChild, said: deque[str]) -> None:
    async for raw in child.lines():
        said.append(raw.decode("utf-8", "replace").rstrip("\n"))
