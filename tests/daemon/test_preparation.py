# SPDX-License-Identifier: GPL-2.0-or-later
"""What is proven ahead, when, and what is reported. The gates are fakes, and their work is a child
that runs until it may end or is given up."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bpf.signals.source import CpuPressure, MachineSignals
from daemon.api.models import (
    CandidateRequest,
    Event,
    EventKind,
    Gate,
    GateMessage,
    GateResult,
    PreparationView,
    PreparedState,
)
from daemon.api.prepared import preparation_text, unprepared
from daemon.gates.candidates import Candidate, Candidates
from daemon.gates.preparation import Preparation, PreparationSubject, wanted_of
from daemon.gates.proof import GateListener, Proof, Subject
from daemon.service.events import EventLog
from process import Fault, FaultType, run
from process.effort import current
from scheduler_library.catalog import load_catalog

FIFO, FAIR, LATENCY = (
    PreparationSubject("fifo"),
    PreparationSubject("fair"),
    PreparationSubject("latency"),
)
REFUSAL = GateMessage(severity="error", message="R1 is not a scalar")
LIMIT_S = 60.0


def machine(utilisation: float, runnable: int) -> MachineSignals:
    stalled = CpuPressure(some_avg10=0, some_us=0, full_avg10=0, full_us=0)
    return MachineSignals(
        cpus=2,
        utilisation=utilisation,
        context_switches_per_s=1,
        runnable=runnable,
        loadavg=(0, 0, 0),
        perf=None,
        perf_note=None,
        psi_cpu=stalled,
        sched_ext=None,
    )


@dataclass
class Bench:
    """A preparation of three schedulers."""

    folder: Path
    refused: str = ""
    # Names whose gates wait for a child that does not end by itself.
    endless: set[str] = field(default_factory=set)
    # Names whose answers are remembered, and so start no child.
    remembered: set[str] = field(default_factory=set)
    hindered: str = ""
    impossible: str = ""
    mark: str = "1"
    passed: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    on_begun: Callable[[str], None] = lambda name: None
    noted: list[Candidate] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    wanted: list[PreparationSubject] = field(default_factory=lambda: [FIFO, FAIR, LATENCY])

    def __post_init__(self) -> None:
        self.object = self.folder / "x.bpf.o"
        self.object.touch()
        self.log = EventLog(self.events.append)
        self.heard = asyncio.Event()

    async def gates(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof:
        if subject.name not in self.remembered:
            # As `run` does; an idle task gets no turn on a busy machine.
            if (work := current()) is not None:
                work.check()
            self.begun.append(subject.name)
            self.on_begun(subject.name)
            if subject.name in self.endless:
                await asyncio.to_thread(run, ["sleep", "1000"], timeout=1000)
        bad = subject.name == self.refused
        self.passed += [] if bad else [subject.name]
        result = GateResult(
            gate=Gate.VERIFY, passed=not bad, seconds=1, messages=[REFUSAL] if bad else []
        )
        return Proof((*before, result), self.object, "ops")

    def publish(self, *words: Any, **fields: Any) -> Event:
        event = self.log.append(*words, **fields)
        self.heard.set()
        return event

    def made(self) -> Preparation:
        class Shared:
            def prepare(_) -> None:  # noqa: N805
                pass

            def mark(_) -> str:  # noqa: N805
                return self.mark

        self.candidates = Candidates(
            catalog=lambda: load_catalog(self.folder),
            folder=self.folder / "candidates",
            gates=self.gates,
            publish=self.publish,
        )
        return Preparation(
            enabled=True,
            gates=Shared(),
            candidates=self.candidates,
            wanted=lambda: self.wanted,
            hindered=lambda: self.hindered,
            impossible=lambda: self.impossible,
            on_refused=self.noted.append,
            on_trouble=lambda text: None,
            publish=self.publish,
        )

    async def told(self, kind: EventKind) -> Event:
        """Wait for the newest event of this kind."""
        async with asyncio.timeout(LIMIT_S):
            while not any(each.kind is kind for each in self.events):
                self.heard.clear()
                await self.heard.wait()
        return next(each for each in reversed(self.events) if each.kind is kind)


def playing(
    bench: Bench, scene: Callable[[Preparation], Coroutine[Any, Any, None]]
) -> PreparationView:
    """Runs the preparation during the scene; returns its progress."""

    async def play() -> PreparationView:
        preparation = bench.made()
        task = asyncio.create_task(preparation.run())
        try:
            await scene(preparation)
            assert not task.done() or task.exception() is None
            return preparation.view()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(play())


def calm(preparation: Preparation) -> None:
    for _ in range(3):
        preparation.observe(machine(0.1, 1), 5.0)


def busy(preparation: Preparation) -> None:
    for _ in range(3):
        preparation.observe(machine(1.0, 9), 5.0)


def states(view: PreparationView) -> dict[str, PreparedState]:
    return {each.name: each.state for each in view.schedulers}


def test_all_are_proven_once_the_machine_is_idle(tmp_path: Path) -> None:
    """Each passes the gates once, and the last report says how many are ready."""
    bench = Bench(tmp_path)

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await bench.told(EventKind.PREPARED)

    view = playing(bench, scene)
    assert bench.begun == ["fifo", "fair", "latency"]
    assert (view.proven, view.of, view.waiting_for) == (3, 3, "")
    assert preparation_text(view) == "3 of 3 proven"
    told = [each for each in bench.events if each.kind is EventKind.PREPARED]
    assert [each.message for each in told] == ["3 of 3 schedulers are proven ahead"]
    # Nobody waits for a gate of these.
    assert {each.kind for each in bench.events} == {EventKind.PREPARED}


def test_a_busy_machine_is_left_alone_but_for_what_is_remembered(tmp_path: Path) -> None:
    """After a restart, what the gates remember is ready at once, and the rest waits for idle
    CPUs."""
    bench = Bench(tmp_path, remembered={"fair"})

    async def scene(preparation: Preparation) -> None:
        busy(preparation)
        async with asyncio.timeout(LIMIT_S):
            while preparation.view().proven < 1:  # noqa: ASYNC110 - nothing is told of it
                await asyncio.sleep(0)

    view = playing(bench, scene)
    assert bench.begun == []
    assert states(view) == {
        "fifo": PreparedState.WAITING,
        "fair": PreparedState.PROVEN,
        "latency": PreparedState.WAITING,
    }
    assert preparation_text(view) == "1 of 3 proven; waiting for idle CPU"


def test_a_refusal_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    """The one that a gate refuses is named with the gate and the cause, once; the rest is ready."""
    bench = Bench(tmp_path, refused="fair")

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await bench.told(EventKind.PREPARED)

    view = playing(bench, scene)
    assert states(view)["fair"] is PreparedState.REFUSED
    assert (view.proven, view.of) == (2, 3)
    (lost,) = unprepared(view)
    assert "fair" in lost
    assert "'verify'" in lost
    assert "R1 is not a scalar" in lost
    refused = [each for each in bench.events if each.kind is EventKind.PREPARATION_REFUSED]
    assert [each.scheduler for each in refused] == ["fair"]
    assert [each.name for each in bench.noted] == ["fair"]


def test_an_episode_interrupts_and_its_end_lets_it_go_on(tmp_path: Path) -> None:
    """The work under way ends at once, nothing starts meanwhile, and afterwards it starts again."""
    bench = Bench(tmp_path, endless={"fair"})
    interrupted = asyncio.Event()

    async def scene(preparation: Preparation) -> None:
        def begun(name: str) -> None:
            if name == "fair" and bench.endless:
                interrupted.set()

        bench.on_begun = begun
        calm(preparation)
        async with asyncio.timeout(LIMIT_S):
            await interrupted.wait()
        bench.hindered = "the end of an episode"
        preparation.look()
        async with asyncio.timeout(LIMIT_S):
            while PreparedState.WORKING in states(preparation.view()).values():  # noqa: ASYNC110
                await asyncio.sleep(0)
        said.append(preparation_text(preparation.view()))
        begun_then.extend(bench.begun)
        bench.endless = set()
        bench.hindered = ""
        preparation.look()
        await bench.told(EventKind.PREPARED)

    said: list[str] = []
    begun_then: list[str] = []
    view = playing(bench, scene)
    assert said == ["1 of 3 proven; waiting for the end of an episode"]
    assert begun_then == ["fifo", "fair"]
    assert bench.begun == ["fifo", "fair", "fair", "latency"]
    assert view.proven == 3


def test_who_asks_for_a_candidate_waits_for_no_preparation(tmp_path: Path) -> None:
    """A client's candidate is proven, and the work that was under way ahead is given up."""
    bench = Bench(tmp_path, endless={"fifo"})
    under_way = asyncio.Event()
    bench.on_begun = lambda name: under_way.set()

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        async with asyncio.timeout(LIMIT_S):
            await under_way.wait()
            with preparation.making_way():
                made.append(await bench.candidates.create(CandidateRequest(library="latency")))

    made: list[Candidate] = []
    view = playing(bench, scene)
    assert made[0].proven
    assert states(view)["fifo"] is not PreparedState.PROVEN


def test_another_compiler_makes_all_of_it_due_again(tmp_path: Path) -> None:
    """Schedulers that were proven with the previous one are proven again, without a request."""
    bench = Bench(tmp_path, wanted=[FIFO])

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await bench.told(EventKind.PREPARED)
        bench.mark = "2"
        # Whatever else is wanted makes it look, as does time.
        bench.wanted = [FIFO, FAIR]
        bench.events.clear()
        preparation.look()
        await bench.told(EventKind.PREPARED)

    playing(bench, scene)
    assert sorted(bench.begun) == ["fair", "fifo", "fifo"]


def test_without_sched_ext_nothing_is_prepared_and_that_is_said(tmp_path: Path) -> None:
    """The reason is the kernel's, and nothing starts."""
    bench = Bench(tmp_path, impossible="this kernel has no sched_ext")

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await asyncio.sleep(0)

    view = playing(bench, scene)
    assert preparation_text(view) == "none: this kernel has no sched_ext"
    assert bench.begun == []


def test_in_an_episode_what_was_proven_ahead_is_there(tmp_path: Path) -> None:
    """The advisor's request needs no gate, whatever was recorded since."""
    bench = Bench(tmp_path, wanted=[FIFO])

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await bench.told(EventKind.PREPARED)
        request = CandidateRequest(library="fifo", episode="e-0123456789")
        asked.append(await bench.candidates.create(request))

    asked: list[Candidate] = []
    playing(bench, scene)
    assert asked[0].proven
    assert bench.begun == ["fifo"]


def test_what_is_wanted_is_the_library_and_the_lines(tmp_path: Path) -> None:
    """Our schedulers with their defaults, and each line an advisor could propose, those that name
    a workload included; programs of others have nothing to be built."""
    wanted = wanted_of(load_catalog(tmp_path), ["comm:redis-server"])
    names = [each.name for each in wanted]
    assert {"fifo", "fair", "latency", "batch", "locality", "jobs"} <= set(names)
    assert not any(each.startswith("scx_") for each in names)
    policies = [each.policy for each in wanted if each.policy]
    assert any("redis-server" in each for each in policies)
    assert any("redis-server" not in each for each in policies)
    assert len(names) == len(set(names))


def test_trouble_of_the_machine_is_no_refusal(tmp_path: Path) -> None:
    """A missing tool ends the preparation, and does not count against the scheduler."""
    bench = Bench(tmp_path, wanted=[FIFO])

    def missing(name: str) -> None:
        raise Fault(FaultType.MISSING_TOOL, "no clang is installed")

    bench.on_begun = missing

    async def scene(preparation: Preparation) -> None:
        calm(preparation)
        await bench.told(EventKind.PREPARED)

    view = playing(bench, scene)
    assert states(view) == {"fifo": PreparedState.FAILED}
    assert bench.noted == []
