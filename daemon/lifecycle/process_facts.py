# SPDX-License-Identifier: GPL-2.0-or-later
"""Gives the loaded scheduler the facts about processes that the kernel does not know, and learns
from ended processes how long similar ones will run.

A scheduler declares the facts it needs: in its candidate, or with a map of the name
`expected_runtime`. It gets the facts of all processes when it is loaded, and from then on of each
that executes a program. Until then a process counts as its parent, or as what it was itself before.
Command lines are read and forgotten.
"""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from bpf.common.workload_id import PROC, cgroup_in, readable
from bpf.runner.lines import Described
from bpf.runner.process import describe
from bpf.signals.source import (
    ARGUMENTS_BYTES,
    Processes,
    ProcessExec,
    ProcessExit,
    SignalsLine,
)
from daemon.decide.jobs import Jobs
from daemon.decide.runtimes import LearnedRuntime, RuntimeKey, Runtimes, key_of
from daemon.decide.selecting import COMMAND_LIMIT, command_of, selected
from daemon.lifecycle.attachment import Attachment, Loadable
from process import Fault, FaultType
from scheduler_library.policy.facts import PolicyFacts

SELECTED = "selected"
EXPECTED_RUNTIME = "expected_runtime"
# How many execs may wait; beyond that all processes are checked instead.
MOST_WAITING = 1024
# How many processes' last answer is remembered.
MOST_TOLD = 20_000
# How often the learned runtimes are stored, seconds. A daemon that is killed loses no more than
# that.
STORED_EVERY_S = 10.0
# How many objects' maps are remembered.
MOST_OBJECTS = 64
# How much of a command line is read, bytes; a character is one at least.
_COMMAND_BYTES = COMMAND_LIMIT

_log = logging.getLogger("schedpilotd.process_facts")


@dataclass(frozen=True, slots=True)
class ObservedProcess:
    """A process as it was read. `arguments` are as the signals program reports them."""

    program: str
    arguments: tuple[str, ...]
    command: str
    cgroup: str


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The facts that the scheduler got about a process."""

    mask: int = 0
    expected_ns: int | None = None


def arguments_of(raw: bytes) -> tuple[str, ...]:
    """The arguments in `/proc/PID/cmdline`."""
    return tuple(map(readable, raw.removesuffix(b"\0").split(b"\0"))) if raw else ()


def seen_in(folder: Path) -> ObservedProcess | None:
    """The process with this folder in /proc; None for a dead one or a kernel thread."""
    try:
        with (folder / "cmdline").open("rb") as file:
            raw = file.read(_COMMAND_BYTES)
        program = readable((folder / "comm").read_bytes().removesuffix(b"\n"))
        cgroup = cgroup_in(folder)
    except OSError:
        return None
    if not raw:
        return None
    cut = arguments_of(raw[:ARGUMENTS_BYTES])
    return ObservedProcess(program, cut, command_of(arguments_of(raw)), cgroup)


def all_seen(proc: Path) -> dict[int, ObservedProcess]:
    """All processes there are."""
    found = {}
    for folder in proc.iterdir():
        if folder.name.isdigit() and (seen := seen_in(folder)) is not None:
            found[int(folder.name)] = seen
    return found


def has_ended(folder: Path) -> bool:
    """Whether the process with this folder in /proc has ended, awaited by its parent or not."""
    try:
        state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state in (b"Z", b"X")


class ProcessFactsWriter:
    """The facts of one loaded scheduler."""

    def __init__(
        self, facts: PolicyFacts, attachment: Attachment, runtimes: Runtimes, proc: Path
    ) -> None:
        self._facts = facts
        self._attachment = attachment
        self._runtimes = runtimes
        self._proc = proc
        self._told: dict[int, ProcessFacts] = {}
        self._refused: set[str] = set()
        # As long as nothing was selected, a child could not have inherited anything.
        self._any_selected = False

    async def everyone(self, *, first: bool = False) -> None:
        """For all processes, the facts that the scheduler has not got yet; at `first` its maps are
        empty.

        Raises:
            Fault: the scheduler is gone.
        """
        found = await asyncio.to_thread(all_seen, self._proc)
        self._told = {pid: told for pid, told in self._told.items() if pid in found}
        unknown = ProcessFacts() if first else None
        for pid, seen in found.items():
            await self._tell(pid, seen, self._told.get(pid, unknown))

    async def executed(self, process: ProcessExec) -> None:
        """For a process that executes a program. Raises as `everyone`."""
        folder = self._proc / str(process.pid)
        command, cgroup = command_of(process.arguments), ""
        fields = {each.field for each in self._facts.selectors}
        if process.cut and "cmd" in fields:
            # Reading a command line may have to wait for the process's memory.
            whole = await asyncio.to_thread(seen_in, folder)
            command = whole.command if whole else command
        if fields & {"cgroup", "unit"}:
            with contextlib.suppress(OSError):  # it may be gone already
                cgroup = cgroup_in(folder)
        seen = ObservedProcess(process.program, process.arguments, command, cgroup)
        # The mask may be its parent's, whatever was sent before.
        before = self._told.get(process.pid)
        await self._tell(process.pid, seen, replace(before, mask=-1) if before else None)
        if len(self._told) > MOST_TOLD:
            for old in list(islice(self._told, MOST_TOLD // 2)):
                del self._told[old]

    async def _tell(self, pid: int, seen: ObservedProcess, before: ProcessFacts | None) -> None:
        told = ProcessFacts(
            selected(self._facts.selectors, seen.command, seen.cgroup),
            self._runtimes.expected_ns(key_of(seen.program, seen.arguments))
            if self._facts.expected_runtime
            else None,
        )
        self._told[pid] = told
        known = before or ProcessFacts(mask=-1)
        changed = False
        self._any_selected |= told.mask != 0
        if self._facts.selectors and self._any_selected and told.mask != known.mask:
            await self._put(SELECTED, pid, told.mask)
            changed = True
        if told.expected_ns is not None and told.expected_ns != known.expected_ns:
            await self._put(EXPECTED_RUNTIME, pid, told.expected_ns)
            changed = True
        elif told.expected_ns is None and known.expected_ns is not None:
            await self._remove(EXPECTED_RUNTIME, pid)
        # The kernel side forgets a process when it ends; if it ended before our update, the entry
        # would stay for ever and apply to whoever gets the number next.
        if changed and has_ended(self._proc / str(pid)):
            await self._forget(pid)

    async def _forget(self, pid: int) -> None:
        self._told.pop(pid, None)
        if self._facts.selectors:
            await self._remove(SELECTED, pid)
        if self._facts.expected_runtime:
            await self._remove(EXPECTED_RUNTIME, pid)

    async def _put(self, map: str, pid: int, value: int) -> None:
        try:
            await self._attachment.put(map, pid, value)
        except Fault as fault:
            if fault.type is not FaultType.BAD_PARAMETER:
                raise
            if map not in self._refused:
                self._refused.add(map)
                _log.warning("%s does not accept its facts: %s", map, fault.why)

    async def _remove(self, map: str, pid: int) -> None:
        try:
            await self._attachment.remove(map, pid)
        except Fault as fault:
            # Refused if the kernel side was faster.
            if fault.type is not FaultType.BAD_PARAMETER:
                raise


class ProcessFactsSource:
    """Learns from the processes that the signals program reports, and updates the scheduler.

    Args:
        known: runtimes learned earlier.
        store: gets the runtimes learned since its last call.
        listen: requests these processes from the signals program.
    """

    def __init__(
        self,
        *,
        known: Iterable[tuple[RuntimeKey, LearnedRuntime]],
        store: Callable[[list[tuple[RuntimeKey, LearnedRuntime]]], None],
        listen: Callable[[Processes], Awaitable[None]],
        proc: Path = PROC,
    ) -> None:
        self.runtimes = Runtimes(known)
        self.jobs = Jobs()
        self._store = store
        self._listen = listen
        self._proc = proc
        self._learned: dict[RuntimeKey, LearnedRuntime] = {}
        self._stored_at = -STORED_EVERY_S
        self._wanted = Processes.EXITS
        self._task: asyncio.Task[None] | None = None
        # None stands for all processes.
        self._waiting: asyncio.Queue[ProcessExec | None] | None = None
        self._asks: OrderedDict[Path, bool] = OrderedDict()

    # ------------------------------------------------------------ input

    def wanted(self) -> Processes:
        """The reports that a newly started signals program has to make; the last one makes none any
        more.
        """
        self._look_at_all()
        return self._wanted

    def take(self, process: ProcessExec | ProcessExit) -> None:
        """One process that the signals program reports."""
        if isinstance(process, ProcessExec):
            if self._waiting is None:
                return
            if self._waiting.full():
                self._look_at_all()
            else:
                self._waiting.put_nowait(process)
            return
        now = time.time()
        self.jobs.ended(process.workload, process.cpu_us, now)
        if process.succeeded and process.arguments is not None:
            key = key_of(process.program, process.arguments)
            self._learned[key] = self.runtimes.learn(key, process.cpu_us * 1000, now)

    def interval(self, line: SignalsLine) -> None:
        """The end of an interval: time to store, and to catch up on unreported execs."""
        if line.lost_execs:
            self._look_at_all()
        now = time.monotonic()
        if self._learned and now - self._stored_at >= STORED_EVERY_S:
            self._stored_at = now
            self._store_learned()

    def _look_at_all(self) -> None:
        if self._waiting is None:
            return
        while self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    def _store_learned(self) -> None:
        learned, self._learned = self._learned, {}
        if learned:
            self._store(list(learned.items()))

    # ------------------------------------------------------------ output

    def loaded(self, what: Loadable, attachment: Attachment) -> None:
        """This scheduler is in the kernel from now on."""
        self._turn_to(self._inform(what, attachment))

    def unloaded(self) -> None:
        """None of ours is in the kernel."""
        self._turn_to(self._hear(Processes.EXITS))

    async def close(self) -> None:
        """Stop all updates, and store the learned runtimes."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._waiting = None
        self._store_learned()

    def _turn_to(self, work: Coroutine[None, None, None]) -> None:
        if self._task is not None:
            self._task.cancel()
        self._waiting = None
        self._task = asyncio.create_task(work)

    async def _hear(self, which: Processes) -> None:
        if self._wanted is not which:
            self._wanted = which
            await self._listen(which)

    async def _inform(self, what: Loadable, attachment: Attachment) -> None:
        facts = await self._facts_of(what)
        if facts == PolicyFacts():
            await self._hear(Processes.EXITS)
            return
        waiting: asyncio.Queue[ProcessExec | None] = asyncio.Queue(MOST_WAITING)
        self._waiting = waiting
        writer = ProcessFactsWriter(facts, attachment, self.runtimes, self._proc)
        try:
            await self._hear(Processes.ALL)
            await writer.everyone(first=True)
            # Those that started while we read the others.
            await writer.everyone()
            while True:
                process = await waiting.get()
                if process is None:
                    await writer.everyone()
                else:
                    await writer.executed(process)
        except Fault as fault:
            # Another message reports its end; anything else only makes it schedule worse.
            _log.info("%s gets no more facts about processes: %s", what.name, fault)
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("a defect while sending %s facts about processes", what.name)
        finally:
            if self._waiting is waiting:
                self._waiting = None

    async def _facts_of(self, what: Loadable) -> PolicyFacts:
        if what.object is None or what.facts.expected_runtime:
            return what.facts
        if what.object not in self._asks:
            try:
                self._asks[what.object] = asks_runtime(await describe(what.object))
            except Fault as fault:
                _log.info("the maps of %s are not known: %s", what.name, fault)
                return what.facts
            while len(self._asks) > MOST_OBJECTS:
                self._asks.popitem(last=False)
        return replace(what.facts, expected_runtime=self._asks[what.object])


def asks_runtime(described: Described) -> bool:
    """Whether a scheduler has the map for expected runtimes."""
    return any(
        (each.name, each.key_bytes, each.value_bytes) == (EXPECTED_RUNTIME, 4, 8)
        for each in described.maps
    )
