# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole daemon on a fake machine: kernel, signals, gates and clock.

Nothing waits for real time: a test moves the clock from one interval of signals to the next, and
the daemon decides as on a live machine. `serves` says how each scheduler serves the only workload.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from bpf.kernel.controls import ControlsInUse, Quota
from bpf.kernel.sysfs import KernelState
from bpf.signals.source import Processes, SignalsLine
from daemon.api.models import (
    ApprovalRequest,
    Autonomy,
    CandidateRequest,
    CloseRequest,
    EpisodeView,
    Event,
    EventKind,
    Gate,
    GateResult,
    HoldRequest,
    MeasurementRequest,
    ParameterValue,
    RollbackRequest,
    StatusView,
    TrialRequest,
    TrialState,
    TrialView,
    WindowValue,
)
from daemon.config import Config
from daemon.decide.backoff import Backoff
from daemon.decide.kept_record import Boot, KernelIdentity
from daemon.decide.observation import Observation, QuotaUse
from daemon.gates.controls import ControlsGate
from daemon.gates.proof import GateListener, Proof, Subject
from daemon.lifecycle.attachment import ExitReason, Loadable
from daemon.lifecycle.loader import Loaded, SchedulerLoader, Why
from daemon.lifecycle.trials import Trial
from daemon.main import Daemon, DaemonParts
from daemon.service.events import EventLog
from daemon.service.notify import Notifier
from daemon.signals.suspended import SuspendedTime
from process import Fault, FaultType
from tests.decide.synthetic import SERVICE, START, line_of, seeded, workload

# Turns of the event loop in which whatever can go on without another event has gone on.
TURNS = 60
# How the kernel's own scheduler serves the workload, and two that are better and worse:
# run-queue delay p99, microseconds.
USUAL_US, BETTER_US, WORSE_US = 10_000.0, 4000.0, 200_000.0
OBJECTIVE = "latency p99"
# The run of the machine in which a test begins.
BOOT = Boot(id="0" * 36, kernel=KernelIdentity(release="7.3.4", btf="a" * 64))


@dataclass
class Clock:
    """The value of `time.time` during a test."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeLoader:
    """The kernel's room for one scheduler, with the interface of the daemon's loader.

    `refusals`: by name, the faults with which the next loads of a scheduler end.
    """

    lease_s: float
    on_gone: Callable[[Loaded, ExitReason], Awaitable[None]]
    loaded: Loaded | None = None
    changing: bool = False
    closed: bool = False
    foreign_ops: str = ""
    refusals: dict[str, list[Fault]] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)
    parameters: dict[str, ParameterValue] = field(default_factory=dict)

    @property
    def runs(self) -> str:
        """The name of the running scheduler, empty for the kernel's own."""
        return self.loaded.what.name if self.loaded else ""

    def kernel(self) -> KernelState:
        ops = self.foreign_ops or self.runs
        return KernelState("enabled" if ops else "disabled", ops, enable_seq=len(self.loads))

    def foreign(self) -> str:
        return self.foreign_ops

    async def load(self, what: Loadable, why: Why) -> Loaded:
        if self.closed:
            raise Fault(FaultType.NOT_ALLOWED, "not loaded", why="the daemon stops")
        self.loads.append(what.name)
        self.loaded = None
        if waiting := self.refusals.get(what.name):
            raise waiting.pop(0)
        self.loaded = Loaded(what, what.ops, why, time.time())
        return self.loaded

    def relabel(self, why: Why) -> None:
        if self.loaded is not None:
            self.loaded = Loaded(self.loaded.what, self.loaded.ops, why, self.loaded.since)

    async def unload(self) -> Loaded | None:
        loaded, self.loaded = self.loaded, None
        return loaded

    async def close(self) -> Loaded | None:
        self.closed = True
        return await self.unload()

    async def set_parameters(
        self, parameters: dict[str, ParameterValue], maps: dict[str, dict[int, int]]
    ) -> None:
        self.parameters |= parameters

    async def throw_out(self, reason: str, *, restart: bool = False) -> None:
        """The kernel ejects the loaded scheduler, or (`restart`) asks to load it again."""
        loaded, self.loaded = self.loaded, None
        assert loaded is not None
        await self.on_gone(loaded, ExitReason(reason, by_kernel=True, restart=restart))


class FakeSignals:
    """The signals program: each line that a test gives it, one after the other."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[SignalsLine] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def lines(self) -> AsyncIterator[SignalsLine]:
        while True:
            yield await self._lines.get()
            # The daemon is back for more: it has dealt with the line.
            self._lines.task_done()

    async def give(self, line: str) -> None:
        """Returns when the daemon has judged it."""
        self._lines.put_nowait(SignalsLine.model_validate_json(line))
        await self._lines.join()

    async def set_interval(self, interval_s: float) -> None:
        pass

    async def set_processes(self, processes: Processes) -> None:
        pass


@dataclass
class FakeQuotas:
    """Cgroups with a quota of a fifth of a CPU, and how many CPUs each uses: by the running
    scheduler's name ("" for the default), then by path.
    """

    clock: Clock
    runs: Callable[[], str]
    use: dict[str, dict[str, float]] = field(default_factory=dict)
    forgotten: int = 0
    _before: float = 0.0

    def forget(self) -> None:
        self.forgotten += 1
        self._before = 0.0

    def read(self) -> tuple[QuotaUse, ...]:
        before, self._before = self._before, self.clock.now
        if not before:
            return ()
        span_us = 1e6 * (self.clock.now - before)
        now = self.use.get(self.runs(), {})
        return tuple(
            QuotaUse(path, cpus * span_us, span_us, Quota(20_000, 100_000))
            for path, cpus in now.items()
        )


class FakeGates:
    """Gates that let everything pass."""

    async def __call__(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof:
        passed = GateResult(gate=Gate.VERIFY, passed=True, seconds=0.1)
        told.answered(passed)
        return Proof((*before, passed), subject.source, subject.name)

    def prepare(self) -> None:
        pass

    def mark(self) -> str:
        return ""


@dataclass
class Sleep:
    """What the kernel's two clocks say of the time in suspend, seconds."""

    total_s: float = 0.0

    def __call__(self) -> float:
        return self.total_s


@dataclass
class FakePower:
    """The machine's power: what a test says, at once."""

    now: str = ""
    regime: str = ""

    def settled(self, now: float) -> str:
        self.regime = self.now
        return self.regime

    async def first(self) -> str:
        return self.settled(0.0)

    async def run(self) -> None:
        pass


@dataclass
class House:
    """The daemon and the fakes. `serves`: run-queue delay p99 by the scheduler's name."""

    daemon: Daemon
    loader: FakeLoader
    signals: FakeSignals
    clock: Clock
    events: list[Event]
    sleep: Sleep
    quotas: FakeQuotas
    power: FakePower
    serves: dict[str, float] = field(default_factory=lambda: {"": USUAL_US})
    lines: list[str] = field(default_factory=list)
    _dice: Any = field(default_factory=lambda: seeded(7))

    def told(self, kind: EventKind) -> list[str]:
        """The messages of this kind so far."""
        return [each.message for each in self.events if each.kind is kind]

    async def turns(self) -> None:
        """Let all tasks run that wait for nothing."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    async def interval(self, p99_us: float | None = None) -> None:
        """One interval of signals passes, and all its consequences happen."""
        served = self.serves.get(self.loader.runs, USUAL_US) if p99_us is None else p99_us
        seconds = self.daemon.watch.interval_s
        self.clock.now += seconds
        part = workload(self._dice, p99_us=served, count=100)
        await self.give(line_of(Observation(self.clock.now, seconds, {part.id: part})))

    async def intervals(self, count: int, p99_us: float | None = None) -> None:
        for _ in range(count):
            await self.interval(p99_us)

    def suspend(self, seconds: float) -> None:
        """The machine is suspended: time goes by, and nobody runs."""
        self.clock.now += seconds
        self.sleep.total_s += seconds

    async def give(self, line: str) -> None:
        """A line of signals that ends now."""
        self.lines.append(line)
        await self.signals.give(line)
        await self.turns()

    async def until_runs(self, name: str) -> None:
        """Let intervals pass until this scheduler runs, or no trial is under way."""
        while self.loader.runs != name and self.daemon.trials.running is not None:
            await self.interval()

    async def until_over(self) -> None:
        """Let intervals pass until no trial is under way."""
        while self.daemon.trials.running is not None:
            await self.interval()
        await self.turns()

    async def candidate(self, name: str, p99_us: float) -> str:
        """Makes a proven candidate that serves the workload in this way; returns its id."""
        self.serves[name] = p99_us
        made = await self.daemon.handlers.candidates.create_candidate(
            CandidateRequest(source=f"/* {name} */", name=name)
        )
        return made.id

    async def trial(self, candidate: str, **others: Any) -> TrialView:
        """Ask for a trial of it on the workload."""
        asked = {"candidate": candidate, "workload": SERVICE, "objective": OBJECTIVE, **others}
        view = await self.daemon.handlers.trials.start_trial(TrialRequest.model_validate(asked))
        await self.turns()
        return view

    def of(self, trial: TrialView) -> Trial:
        """The trial as it is now."""
        return self.daemon.trials.get(trial.id)

    def state(self, trial: TrialView) -> TrialState:
        return self.of(trial).state

    # What an operator or an advisor asks for by the control socket.

    async def approve(self, trial: TrialView, approve: bool = True, reason: str = "") -> TrialView:
        request = ApprovalRequest(approve=approve, reason=reason)
        return await self.daemon.handlers.trials.approve(trial.approval, request)

    async def rollback(self, reason: str) -> StatusView:
        return await self.daemon.handlers.scheduler.rollback(RollbackRequest(reason=reason))

    async def hold(self, candidate: str) -> StatusView:
        return await self.daemon.handlers.scheduler.hold(HoldRequest(candidate=candidate))

    async def release(self, reason: str) -> StatusView:
        return await self.daemon.handlers.scheduler.release(reason)

    async def feed(self, trial: TrialView, value: float) -> TrialView:
        return await self.daemon.handlers.trials.feed_window(trial.id, WindowValue(value=value))

    async def close_episode(self, episode: str, summary: str = "done") -> EpisodeView:
        request = CloseRequest(summary=summary, advisor="test")
        return await self.daemon.handlers.episodes.close_episode(episode, request)

    async def measure(self, name: str, value: float, started: float | None = None) -> None:
        request = MeasurementRequest(name=name, value=value, unit="", started=started)
        await self.daemon.handlers.measurements.record_measurement(request)

    async def kept(self, name: str = "better", p99_us: float = BETTER_US) -> TrialView:
        """A scheduler that won its trial and is kept."""
        view = await self.trial(await self.candidate(name, p99_us))
        await self.until_over()
        assert self.state(view) is TrialState.KEPT, self.of(view).reason
        self.rest()
        return view

    async def refused(self, action: Awaitable[object]) -> Fault:
        """The fault with which a request ends."""
        with pytest.raises(Fault) as caught:
            await action
        await self.turns()
        return caught.value

    async def throw_out(self, reason: str, *, restart: bool = False) -> None:
        """The kernel ejects the running scheduler, and all consequences happen."""
        await self.loader.throw_out(reason, restart=restart)
        await self.turns()

    async def look(self) -> None:
        """The daemon decides what becomes of what was kept."""
        await self.daemon.keeping.look()
        await self.turns()

    async def stop(self) -> None:
        """The daemon ends in order, as after SIGTERM."""
        self.daemon.stop.set()
        await self.daemon.restore_when_stopped()

    @property
    def backoff(self) -> Backoff:
        return self.daemon.backoff_store.state

    def quarantined(self, candidate: str) -> bool:
        return self.backoff.quarantine_of(candidate, self.clock.now) is not None

    def rest(self) -> None:
        """Time passes without signals, until another trial may start."""
        self.clock.now += 2 * 3600.0


Story = Callable[[House], Awaitable[None]]
Play = Callable[..., None]


@contextlib.asynccontextmanager
async def house(
    folder: Path,
    patched: pytest.MonkeyPatch,
    *,
    boot: Boot = BOOT,
    now: float = START,
    power: str = "",
    **tables: dict[str, Any],
) -> AsyncIterator[House]:
    """A watching daemon in this folder. `tables` are those of its configuration.

    It ends as if killed, unless the story stops it.
    """
    clock = Clock(now)
    patched.setattr(time, "time", clock)
    places = {f"{each}_dir": str(folder / each) for each in ("state", "run", "cache")}
    given = {
        "prepare": {"enabled": False},
        "trial": {"window_s": 3.0, "settle_s": 0.5, "samples_min": 20},
        **tables,
        "daemon": {**places, "autonomy": Autonomy.AUTO, **tables.get("daemon", {})},
    }
    signals, sleep, supply = FakeSignals(), Sleep(), FakePower(power)
    loaders: list[FakeLoader] = []
    events: list[Event] = []

    quotas = FakeQuotas(clock, lambda: loaders[0].runs)

    def loader(**wires: Any) -> SchedulerLoader:
        loaders.append(FakeLoader(wires["lease_s"], wires["on_gone"]))
        return loaders[-1]

    parts = DaemonParts(
        loader=loader,
        signals=lambda interval_s, **_: signals,
        gates=lambda **_: FakeGates(),
        controls=lambda **given: ControlsGate(**given, read=ControlsInUse),
        stolen=lambda: 0.0,
        suspended=SuspendedTime(sleep),
        boot=lambda: boot,
        quotas=lambda: quotas,
        power=lambda **_: supply,
    )
    log = EventLog(events.append, clock=clock)
    daemon = Daemon(Config.model_validate(given), log, Notifier(), parts)
    await daemon.find_kept()
    watching = asyncio.create_task(daemon.watch.run())
    try:
        yield House(daemon, loaders[0], signals, clock, events, sleep, quotas, supply)
    finally:
        watching.cancel()
        await daemon.trials.end("the test is over")
        await asyncio.wait({watching})
        daemon.history_writer.close()
