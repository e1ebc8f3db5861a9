# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's API as the agent uses it: protocols that `daemon.api.AsyncClient` implements."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from daemon.api.models import (
    AdviceRequest,
    CallsRequest,
    CallsView,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    EpisodeView,
    Event,
    LearnedView,
    LessonRequest,
    LessonView,
    MeasurementRequest,
    OutcomeView,
    SchedulerDetail,
    SchedulerView,
    SignalsView,
    StatusView,
    StepRequest,
    TrialRequest,
    TrialView,
    WorkloadDetail,
    WorkloadView,
)


class ReadingClient(Protocol):
    """Calls that both sockets answer."""

    async def status(self) -> StatusView: ...
    async def workload(self, id: str) -> WorkloadDetail: ...
    async def workloads(self) -> list[WorkloadView]: ...
    async def signals(self, workload: str = "", last_s: float = 60.0) -> SignalsView: ...
    async def library(self, query: str = "") -> list[SchedulerView]: ...
    async def scheduler(self, name: str) -> SchedulerDetail: ...
    async def candidate(self, id: str) -> CandidateView: ...
    async def trial(self, id: str) -> TrialView: ...
    async def episodes(self, last: int = 50) -> list[EpisodeView]: ...
    async def episode(self, id: str) -> EpisodeView: ...
    async def outcomes(self, scheduler: str = "") -> list[OutcomeView]: ...
    async def lessons(self) -> list[LessonView]: ...
    async def learned(self, workload: str = "", *, episode: str = "") -> LearnedView: ...
    def events(self, after: int = 0) -> AsyncIterator[Event]: ...


class ActingClient(Protocol):
    """Calls that only the control socket answers."""

    async def create_candidate(self, request: CandidateRequest) -> CandidateView: ...
    async def start_trial(self, request: TrialRequest) -> TrialView: ...
    async def record_lesson(self, request: LessonRequest) -> LessonView: ...
    async def count_calls(self, request: CallsRequest) -> CallsView: ...
    async def record_measurement(self, request: MeasurementRequest) -> None: ...
    async def record_step(self, episode: str, request: StepRequest) -> None: ...
    async def advise(self, episode: str, request: AdviceRequest) -> EpisodeView: ...
    async def close_episode(self, episode: str, request: CloseRequest) -> EpisodeView: ...


@dataclass(frozen=True)
class Connection:
    """A connected daemon. `actor` is None if only the observe socket opens."""

    reader: ReadingClient
    actor: ActingClient | None


# Opens a connection for the length of a block; raises Fault if there is no daemon.
Connect = Callable[[], contextlib.AbstractAsyncContextManager[Connection]]
