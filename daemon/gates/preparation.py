# SPDX-License-Identifier: GPL-2.0-or-later
"""Proves likely candidates ahead of time: in an emergency the machine has no time to compile.

The library's schedulers, saved winners and the policy lines that an advisor would propose pass the
gates one at a time, at idle priority, while CPUs are idle, and outside episodes and trials. The
gates store their answers by content, so a restarted daemon first takes all stored answers, which
costs nothing, and then proves the rest: new candidates, or ones affected by a change of the kernel,
the compiler or the headers.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from bpf.signals.source import MachineSignals
from daemon.api.models import (
    CandidateRequest,
    EventKind,
    PreparationView,
    PreparedState,
    PreparedView,
)
from daemon.decide import preparing
from daemon.decide.preparing import Interval, Turn
from daemon.gates.candidates import Candidate, Candidates, Publish
from daemon.gates.telling import stopped_reason
from daemon.service import heap
from process import Effort, Fault, FaultType, Priority, at_priority
from scheduler_library.catalog import Catalog, CatalogEntry, EntryPlace
from scheduler_library.learning.templates import all_lines, name_of
from scheduler_library.manifest import EntryKind

# Interval of the check for changes: the compiler, the headers, seconds.
LOOK_S = 600.0
# More than a library has; the last saved go first.
MOST = 64

_UNDONE = (PreparedState.WAITING, PreparedState.WORKING)


@dataclass(frozen=True)
class PreparationSubject:
    """A candidate to prove: an entry of the library, or a policy line."""

    name: str
    policy: str = ""

    def request(self) -> CandidateRequest:
        if self.policy:
            return CandidateRequest(policy=self.policy)
        return CandidateRequest(library=self.name)


@dataclass(frozen=True)
class Item:
    """One candidate's progress. `anew`: its proof is from before a change."""

    wanted: PreparationSubject
    state: PreparedState = PreparedState.WAITING
    candidate: str = ""
    gate: str = ""
    reason: str = ""
    tries: int = 0
    anew: bool = False

    def view(self) -> PreparedView:
        return PreparedView(
            name=self.wanted.name,
            policy=self.wanted.policy,
            state=self.state,
            candidate=self.candidate,
            gate=self.gate,
            reason=self.reason,
        )


def wanted_of(catalog: Catalog, workloads: Iterable[str]) -> list[PreparationSubject]:
    """The candidates worth proving ahead: those installed with us, saved ones, and the lines.

    A third-party program's scheduler needs no build.
    """
    order = {EntryPlace.OWN: 0, EntryPlace.GENERATED: 1}
    entries: list[CatalogEntry] = [
        each for each in catalog if each.manifest.kind is not EntryKind.EXTERNAL
    ]
    entries.sort(key=lambda each: (order.get(each.place, 2), each.name))
    found = [PreparationSubject(each.name) for each in entries]
    names = {each.name for each in found}
    lines = [PreparationSubject(name_of(each.policy), each.policy) for each in all_lines(workloads)]
    return [*found, *(each for each in lines if each.name not in names)][:MOST]


class Shared(Protocol):
    """The shared part of all candidates: built, and marked by everything it was built from."""

    def prepare(self) -> None: ...
    def mark(self) -> str: ...


class Preparation:
    """Proves candidates in the background.

    Args:
        wanted: the candidates to prove, at this moment.
        hindered: why nothing may be done now (an episode, a trial); empty if it may.
        impossible: why nothing can be proven on this machine at all; empty if it can.
        on_refused: gets a candidate that some gate refused.
        on_trouble: gets the reason why the shared part cannot be compiled.
    """

    def __init__(
        self,
        *,
        enabled: bool,
        gates: Shared,
        candidates: Candidates,
        wanted: Callable[[], list[PreparationSubject]],
        hindered: Callable[[], str],
        impossible: Callable[[], str],
        on_refused: Callable[[Candidate], None],
        on_trouble: Callable[[str], None],
        publish: Publish,
    ) -> None:
        self._enabled = enabled
        self._gates = gates
        self._candidates = candidates
        self._wanted = wanted
        self._hindered = hindered
        self._impossible = impossible
        self._on_refused = on_refused
        self._on_trouble = on_trouble
        self._publish = publish
        self._items: dict[PreparationSubject, Item] = {}
        self._turn = Turn()
        self._work: Effort | None = None
        self._worked = False
        self._asking = 0
        self._changed = asyncio.Event()
        self._mark = ""
        self._said = ""

    # ------------------------------------------------------------ input from others

    def observe(self, machine: MachineSignals, interval_s: float) -> None:
        """One interval of the machine."""
        stalled = machine.psi_cpu.some_us / (interval_s * 1e6) if machine.psi_cpu else None
        interval = Interval(
            machine.utilisation,
            machine.cpus,
            machine.runnable,
            stalled,
            own=self._worked,
        )
        self._worked = self._work is not None
        self._turn = preparing.step(self._turn, interval)
        self.look()

    def look(self) -> None:
        """Something may have changed: an episode, a trial, the library."""
        if self._work is not None and self._waits_for():
            self._work.give_up()
        self._changed.set()

    @contextlib.contextmanager
    def making_way(self) -> Iterator[None]:
        """Somebody requests a candidate: nothing is done ahead in the block."""
        self._asking += 1
        if self._work is not None:
            self._work.give_up()
        try:
            yield
        finally:
            self._asking -= 1
            self._changed.set()

    def _waits_for(self) -> str:
        if hindered := self._hindered():
            return hindered
        if self._asking:
            return "the candidate that somebody asks for"
        if not self._turn.seen:
            return "the first signals"
        return "" if self._turn.open else "idle CPU"

    def view(self) -> PreparationView:
        items = list(self._items.values())
        left = any(each.state in _UNDONE for each in items)
        impossible = self._impossible()
        waits = impossible or ("" if not left or self._work else self._waits_for())
        return PreparationView(
            enabled=self._enabled,
            waiting_for=waits if self._enabled else "",
            proven=sum(each.state is PreparedState.PROVEN for each in items),
            of=len(items),
            schedulers=[each.view() for each in items],
        )

    # ------------------------------------------------------------ the work

    async def run(self) -> None:
        """Runs until cancelled."""
        await self._shared()
        if not self._enabled or self._impossible():
            return
        while True:
            self._changed.clear()
            await self._look_for_changes()
            self._plan()
            await self._remembered()
            while (item := self._next()) is not None:
                await self._allowed()
                self._plan()
                if item.wanted in self._items:
                    await self._prove(item)
            self._tell()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._something_new(), LOOK_S)

    async def _something_new(self) -> None:
        """Wait until something else is wanted."""
        while not set(self._wanted()) - set(self._items):
            self._changed.clear()
            await self._changed.wait()

    async def _shared(self) -> None:
        """Compile the shared part of all candidates.

        At idle priority that is allowed at any time; if it exceeded its time limit that way, it
        waits until CPUs are idle.
        """
        tries = 0
        while True:
            fault, late = await self._given(self._gates.prepare)
            if fault is None:
                break
            if fault.type is FaultType.BUSY:
                await self._unhindered()
            elif late and preparing.again(tries := tries + 1):
                await self._allowed()
            else:
                self._on_trouble(f"schedulers cannot be built: {fault}. {fault.hint}")
                break
        heap.give_back()

    async def _given(self, work: Callable[[], object]) -> tuple[Fault | None, bool]:
        """Do the work of this process's threads at idle priority; returns the obstacle, and whether
        something was too slow.
        """
        self._worked = True
        with at_priority(Priority.AHEAD) as self._work:
            effort = self._work
            try:
                await asyncio.to_thread(work)
            except Fault as fault:
                return fault, effort.late
            finally:
                self._work = None
        return None, False

    async def _unhindered(self) -> None:
        while self._hindered() or self._asking:
            self._changed.clear()
            await self._changed.wait()

    async def _allowed(self) -> None:
        while self._waits_for():
            self._changed.clear()
            await self._changed.wait()

    async def _look_for_changes(self) -> None:
        """Everything has to be proven anew once the compiler, the headers or the types change."""
        try:
            mark = await asyncio.to_thread(self._gates.mark)
        except Fault:
            return
        if self._mark and mark != self._mark:
            self._items = {
                each.wanted: Item(each.wanted, anew=True) for each in self._items.values()
            }
            await self._shared()
        self._mark = mark

    def _plan(self) -> None:
        """Candidates no longer wanted are removed, new ones wait."""
        self._items = {each: self._items.get(each, Item(each)) for each in self._wanted()}

    def _next(self) -> Item | None:
        waiting = (each for each in self._items.values() if each.state is PreparedState.WAITING)
        return min(waiting, key=lambda each: each.tries, default=None)

    async def _remembered(self) -> None:
        """Take all stored answers of the gates. Work that is given up at once can start
        no child.
        """
        for item in list(self._items.values()):
            if item.state is not PreparedState.WAITING:
                continue
            with at_priority(Priority.AHEAD) as work:
                work.give_up()
                await self._outcome(item, work)
        heap.give_back()

    async def _prove(self, item: Item) -> None:
        self._become(replace(item, state=PreparedState.WORKING))
        self._worked = True
        with at_priority(Priority.AHEAD) as self._work:
            try:
                await self._outcome(item, self._work)
            finally:
                self._work = None
        heap.give_back()

    async def _outcome(self, item: Item, work: Effort) -> None:
        try:
            candidate = await self._candidates.prove_ahead(item.wanted.request(), anew=item.anew)
        except Fault as fault:
            if fault.type is FaultType.BUSY and work.given_up:
                self._become(item)
            else:
                self._fail(item, "", str(fault))
            return
        except OSError as error:
            self._fail(item, "", str(error))
            return
        stopped = candidate.proof.stopped_by
        if stopped is None:
            done = replace(item, state=PreparedState.PROVEN, candidate=candidate.id, anew=False)
            self._become(done)
        elif work.late and preparing.again(item.tries + 1):
            self._become(replace(item, tries=item.tries + 1))
        elif work.late or stopped.skipped:
            self._fail(item, stopped.gate.value, stopped_reason(candidate.proof))
        else:
            self._on_refused(candidate)
            reason = stopped_reason(candidate.proof)
            self._become(
                replace(
                    item,
                    state=PreparedState.REFUSED,
                    candidate=candidate.id,
                    gate=stopped.gate.value,
                    reason=reason,
                )
            )
            self._say_refused(item, candidate.id, reason)

    def _fail(self, item: Item, gate: str, reason: str) -> None:
        self._become(replace(item, state=PreparedState.FAILED, gate=gate, reason=reason))
        self._say_refused(item, "", reason)

    def _become(self, item: Item) -> None:
        if item.wanted in self._items:
            self._items[item.wanted] = item

    # ------------------------------------------------------------ reports

    def _say_refused(self, item: Item, candidate: str, reason: str) -> None:
        self._publish(
            EventKind.PREPARATION_REFUSED,
            f"{item.wanted.name} could not be proven ahead: {reason}",
            scheduler=item.wanted.name,
            candidate=candidate,
            reason=reason,
        )

    def _tell(self) -> None:
        """Reported once all is done, and again when that has changed."""
        view = self.view()
        if not view.of:
            return
        said = f"{view.proven} of {view.of} schedulers are proven ahead"
        rest = [each.name for each in view.schedulers if each.state is not PreparedState.PROVEN]
        said += f"; not: {', '.join(rest)}" if rest else ""
        if said != self._said:
            self._said = said
            self._publish(
                EventKind.PREPARED,
                said,
                figures={"proven": float(view.proven), "of": float(view.of)},
            )
