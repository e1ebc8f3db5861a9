# SPDX-License-Identifier: GPL-2.0-or-later
"""A small daemon behind the routes: it has everything in memory and remembers all requests."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from daemon.api.client import Client
from daemon.api.models import (
    AdviceRequest,
    ApprovalRequest,
    Autonomy,
    CallsRequest,
    CallsView,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    Cost,
    Direction,
    EpisodeRequest,
    EpisodeState,
    EpisodeView,
    Event,
    EventKind,
    GoalView,
    HoldRequest,
    KernelView,
    LearnedView,
    LessonRequest,
    LessonView,
    MeasurementRequest,
    OutcomeView,
    ParametersRequest,
    ProbeKind,
    ProbeKindView,
    ProbeRequest,
    ProbeView,
    ProfileView,
    RecordingRequest,
    RecordingState,
    RecordingView,
    RollbackRequest,
    SchedulerDetail,
    SchedulerView,
    SignalsView,
    StatusView,
    StepRequest,
    StepView,
    TrialRequest,
    TrialState,
    TrialView,
    WindowValue,
    WorkloadDetail,
    WorkloadProfileView,
    WorkloadView,
)
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET
from daemon.api.serving import control_app, observe_app
from daemon.service.events import EventLog
from daemon.service.metrics import render
from daemon.service.server import serve
from process import Fault, FaultType, Limit
from tests.waiting import happened

T = TypeVar("T")


def scheduler(name: str) -> SchedulerDetail:
    return SchedulerDetail(
        name=name,
        kind="bpf",
        summary="one queue",
        tags=["batch"],
        good_for=[],
        bad_for=[],
        origin="own",
        installed=True,
        description="",
        algorithm="",
    )


class FakeService:
    """Answers every endpoint. `asked` is what was asked, newest last.

    `trouble`, when set, is raised by `status` instead of its answer; when `slow`, the gates of
    a candidate never end.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.trouble: BaseException | None = None
        self.log = EventLog(lambda event: None, held=50)
        self.subscribers = 0
        self.slow = False
        self.trace_file = Path(__file__)

    async def status(self) -> StatusView:
        if self.trouble is not None:
            raise self.trouble
        return StatusView(
            version="1", pid=1, since=1.0, autonomy=Autonomy.ASK, kernel=KernelView(supported=True)
        )

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        self.asked.append(("signals", (workload, last_s)))
        return SignalsView(interval_s=1.0, at=1.0, workload=workload)

    async def workloads(self) -> list[WorkloadView]:
        return [WorkloadView(id="comm:a\nb"), WorkloadView(id="cgroup:/x")]

    async def workload(self, id: str) -> WorkloadDetail:
        self.asked.append(("workload", id))
        return WorkloadDetail(id=id, profile=ProfileView(workload=id, tags=[]))

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        self.asked.append(("workload_profile", id))
        return WorkloadProfileView(workload=id, at=1.0, sure_of=["it is calm"])

    async def probes(self) -> list[ProbeKindView]:
        return [ProbeKindView(kind=each, question="why?", available=True) for each in ProbeKind]

    async def run_probe(self, request: ProbeRequest) -> ProbeView:
        self.asked.append(("run_probe", request))
        return ProbeView(
            kind=request.kind,
            workload=request.workload or "",
            source="bcc",
            seconds=request.seconds,
            summary=["nothing waits"],
        )

    async def count_calls(self, request: CallsRequest) -> CallsView:
        self.asked.append(("count_calls", request))
        return CallsView(seconds=2.0, count=4, total_us=100.0, max_us=50.0)

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        self.asked.append(("library", query))
        return [scheduler("fifo")]

    async def scheduler(self, name: str) -> SchedulerDetail:
        if name != "fifo":
            raise Fault(
                FaultType.UNKNOWN_SCHEDULER,
                f"no scheduler is called {name}",
                where="the library",
                why="it has `fifo` alone",
                hint="see `schedpilot library list`",
                details=("fifo", "\tand nothing\x1b[31m else"),
            )
        return scheduler(name)

    async def candidate(self, id: str) -> CandidateView:
        return CandidateView(id=id, name="fifo", kind="bpf")

    async def trial(self, id: str) -> TrialView:
        return self._trial(id)

    async def episodes(self, last: int) -> list[EpisodeView]:
        self.asked.append(("episodes", last))
        return [self._episode("e-0001")]

    async def episode(self, id: str) -> EpisodeView:
        return self._episode(id)

    async def steps(self, episode: str) -> list[StepView]:
        return [
            StepView(number=number, **asked[1].model_dump())
            for number, asked in enumerate(
                (what for name, what in self.asked if name == "record_step"), 1
            )
            if asked[0] == episode
        ]

    async def outcomes(self, scheduler: str) -> list[OutcomeView]:
        self.asked.append(("outcomes", scheduler))
        return []

    async def lessons(self) -> list[LessonView]:
        return [LessonView(text="be brief", at=1.0)]

    async def learned(self, workload: str, episode: str) -> LearnedView:
        self.asked.append(("learned", (workload, episode)))
        return LearnedView(at=1.0, workload=workload)

    async def goal(self, goal: str, workload: str) -> GoalView:
        self.asked.append(("goal", (goal, workload)))
        return GoalView(goal=goal, workload=workload, objective="response p99")

    async def recordings(self) -> list[RecordingView]:
        return [await self.recording("r-1a2b3c")]

    async def recording(self, id: str) -> RecordingView:
        return RecordingView(id=id, state=RecordingState.DONE, began=1.0, wanted_s=1.0)

    async def record(self, request: RecordingRequest) -> RecordingView:
        self.asked.append(("record", request))
        return await self.recording("r-1a2b3c")

    async def stop_recording(self, id: str) -> RecordingView:
        self.asked.append(("stop_recording", id))
        return await self.recording(id)

    async def trace(self, id: str) -> Path:
        self.asked.append(("trace", id))
        return self.trace_file

    async def metrics(self) -> str:
        return render(await self.status(), await self.workloads())

    async def recorded_events(self, after: int) -> list[Event]:
        return self.log.recorded(after)

    async def events(self, after: int) -> AsyncIterator[Event]:
        self.subscribers += 1
        try:
            async for event in self.log.subscribe(after):
                yield event
        finally:
            self.subscribers -= 1

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        self.asked.append(("create_candidate", request))
        if self.slow:
            await asyncio.Event().wait()
        return CandidateView(id="c-0001", name=request.name or "x", kind="bpf")

    async def start_trial(self, request: TrialRequest) -> TrialView:
        self.asked.append(("start_trial", request))
        return self._trial("t-0001")

    async def feed_window(self, trial: str, request: WindowValue) -> TrialView:
        self.asked.append(("feed_window", (trial, request)))
        return self._trial(trial)

    async def hold(self, request: HoldRequest) -> StatusView:
        self.asked.append(("hold", request))
        return await self.status()

    async def release(self, reason: str) -> StatusView:
        self.asked.append(("release", reason))
        return await self.status()

    async def set_parameters(self, request: ParametersRequest) -> StatusView:
        self.asked.append(("set_parameters", request))
        return await self.status()

    async def rollback(self, request: RollbackRequest) -> StatusView:
        self.asked.append(("rollback", request))
        return await self.status()

    async def approve(self, id: str, request: ApprovalRequest) -> TrialView:
        self.asked.append(("approve", (id, request)))
        return self._trial("t-0001")

    async def record_lesson(self, request: LessonRequest) -> LessonView:
        self.asked.append(("record_lesson", request))
        return LessonView(text=request.text, at=1.0)

    async def record_measurement(self, request: MeasurementRequest) -> None:
        self.asked.append(("record_measurement", request))

    async def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        self.asked.append(("open_episode", request))
        return self._episode("e-0001")

    async def record_step(self, episode: str, request: StepRequest) -> None:
        self.asked.append(("record_step", (episode, request)))

    async def advise(self, episode: str, request: AdviceRequest) -> EpisodeView:
        self.asked.append(("advise", (episode, request)))
        return self._episode(episode)

    async def close_episode(self, episode: str, request: CloseRequest) -> EpisodeView:
        self.asked.append(("close_episode", (episode, request)))
        return self._episode(episode, Cost(calls=request.cost.calls))

    def _trial(self, id: str) -> TrialView:
        return TrialView(
            id=id,
            state=TrialState.RUNNING,
            candidate="c-0001",
            scheduler="fifo",
            objective="delay p99",
            direction=Direction.LOWER,
            unit="us",
            at=1.0,
        )

    def _episode(self, id: str, cost: Cost = Cost()) -> EpisodeView:  # noqa: B008 - frozen
        return EpisodeView(id=id, state=EpisodeState.OPEN, at=1.0, workload="comm:x", cost=cost)


class Served:
    """The fake behind real sockets, served by an event loop in a thread of its own."""

    def __init__(self, run_dir: Path) -> None:
        self.service = FakeService()
        self.run_dir = run_dir
        self.observe_path = run_dir / OBSERVE_SOCKET
        self.control_path = run_dir / CONTROL_SOCKET
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._main)

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(
                serve(
                    observe_app(self.service),
                    control_app(self.service),
                    self.run_dir,
                    self._stop,
                    self._ready.set,
                )
            )
        except BaseException as trouble:  # noqa: BLE001 - told to the test
            self._trouble = trouble
        finally:
            self._ready.set()

    def start(self) -> None:
        self._thread.start()
        happened(self._ready, 10)
        if self._trouble is not None:
            self._thread.join()
            raise self._trouble

    def stop(self) -> None:
        """Ask the server to end, and wait until it has."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(15)
        assert not self._thread.is_alive()
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the daemon's loop, as the daemon's own code would be."""

        async def inside() -> T:
            return function()

        return self.do(inside())

    def do(self, coroutine: Coroutine[Any, Any, T], timeout_s: float = 10.0) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def timers(self) -> int:
        """What makes the event loop wake, other than its sockets."""
        scheduled = self._loop._scheduled  # type: ignore[attr-defined]  # there is no public way
        return sum(not each.cancelled() for each in scheduled)

    def record(self, message: str, **fields: Any) -> Event:
        return self.call(lambda: self.service.log.append(EventKind.WINDOW, message, **fields))

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition in the daemon's loop holds; it has no event."""
        end = Limit(10)
        while not self.call(condition):
            assert not end.passed(), "it did not happen within 10 s"

    def observer(self) -> Client:
        return Client(self.observe_path)

    def controller(self) -> Client:
        return Client(self.control_path)


@contextmanager
def serving(run_dir: Path) -> Iterator[Served]:
    served = Served(run_dir)
    served.start()
    try:
        yield served
    finally:
        served.stop()
