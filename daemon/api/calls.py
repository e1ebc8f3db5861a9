# SPDX-License-Identifier: GPL-2.0-or-later
"""Every request of the API as a value: one function for each route.

The clients send these; nothing here does I/O, so that the blocking and the asynchronous client
are the same words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from daemon.api.models import (
    AdviceRequest,
    ApprovalRequest,
    CallsRequest,
    CallsView,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    EpisodeRequest,
    EpisodeView,
    Event,
    GoalView,
    HoldRequest,
    LearnedView,
    LessonRequest,
    LessonView,
    MeasurementRequest,
    OutcomeView,
    ParametersRequest,
    ProbeKindView,
    ProbeRequest,
    ProbeView,
    RecordingRequest,
    RecordingView,
    RollbackRequest,
    SchedulerDetail,
    SchedulerView,
    SignalsView,
    StatusView,
    StepRequest,
    StepView,
    TrialRequest,
    TrialView,
    WindowValue,
    WorkloadDetail,
    WorkloadProfileView,
    WorkloadView,
)

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

# How long an answer may take, seconds: reading is at once; loading a scheduler and coming
# back from one wait for the kernel; a candidate passes every gate before it is answered.
READ_S = 30.0
ACT_S = 120.0
GATES_S = 1800.0


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[bytes], T]
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: BaseModel | None = None
    timeout_s: float = READ_S


def _one(model: type[Model]) -> Callable[[bytes], Model]:
    return model.model_validate_json


def _many(model: type[Model]) -> Callable[[bytes], list[Model]]:
    # The adapter is made when an answer is there to be read: most processes need few of them.
    return lambda raw: TypeAdapter(list[model]).validate_json(raw)  # type: ignore[valid-type]


def _get(
    path: str, read: Callable[[bytes], T], parameters: Mapping[str, str] | None = None
) -> Call[T]:
    return Call("GET", path, read, parameters or {})


def _post(path: str, read: Callable[[bytes], T], body: BaseModel, timeout_s: float) -> Call[T]:
    return Call("POST", path, read, body=body, timeout_s=timeout_s)


def _id(text: str) -> str:
    return quote(text, safe="", errors="surrogateescape")


def _nothing(raw: bytes) -> None:
    return None


def status() -> Call[StatusView]:
    return _get("/v1/status", _one(StatusView))


def signals(workload: str = "", last_s: float = 300.0) -> Call[SignalsView]:
    """The newest interval; with a workload, its series of the last `last_s` seconds."""
    parameters = {"workload": workload, "last": f"{last_s:g}"} if workload else {}
    return _get("/v1/signals", _one(SignalsView), parameters)


def workloads() -> Call[list[WorkloadView]]:
    return _get("/v1/workloads", _many(WorkloadView))


def workload(id: str) -> Call[WorkloadDetail]:
    return _get(f"/v1/workloads/{_id(id)}", _one(WorkloadDetail))


def library(query: str = "", workload: str = "") -> Call[list[SchedulerView]]:
    """All entries; with a query or a workload those that fit, best first, and why."""
    given = {"query": query, "workload": workload}
    return _get("/v1/library", _many(SchedulerView), {k: v for k, v in given.items() if v})


def scheduler(name: str) -> Call[SchedulerDetail]:
    return _get(f"/v1/library/{_id(name)}", _one(SchedulerDetail))


def candidate(id: str) -> Call[CandidateView]:
    return _get(f"/v1/candidates/{_id(id)}", _one(CandidateView))


def trial(id: str) -> Call[TrialView]:
    return _get(f"/v1/trials/{_id(id)}", _one(TrialView))


def episodes(last: int = 20) -> Call[list[EpisodeView]]:
    return _get("/v1/episodes", _many(EpisodeView), {"last": str(last)})


def episode(id: str) -> Call[EpisodeView]:
    return _get(f"/v1/episodes/{_id(id)}", _one(EpisodeView))


def steps(episode: str) -> Call[list[StepView]]:
    """The transcript of an episode, oldest first."""
    return _get(f"/v1/episodes/{_id(episode)}/steps", _many(StepView))


def outcomes(scheduler: str = "") -> Call[list[OutcomeView]]:
    parameters = {"scheduler": scheduler} if scheduler else {}
    return _get("/v1/outcomes", _many(OutcomeView), parameters)


def learned(workload: str | None = None, *, episode: str = "") -> Call[LearnedView]:
    """What is believed, and why; with a workload or an episode, of that one."""
    given = {"workload": workload or "", "episode": episode}
    return _get("/v1/learned", _one(LearnedView), {k: v for k, v in given.items() if v})


def lessons() -> Call[list[LessonView]]:
    return _get("/v1/lessons", _many(LessonView))


def recorded_events(after: int = 0) -> Call[list[Event]]:
    return _get("/v1/events/recorded", _many(Event), {"after": str(after)})


def metrics() -> Call[str]:
    """The daemon's metrics in Prometheus' text format."""
    return _get("/metrics", bytes.decode)


def create_candidate(request: CandidateRequest) -> Call[CandidateView]:
    """Runs the gates; answered when they are done."""
    return _post("/v1/candidates", _one(CandidateView), request, GATES_S)


def start_trial(request: TrialRequest) -> Call[TrialView]:
    """Answered at once; the trial goes on by itself."""
    return _post("/v1/trials", _one(TrialView), request, ACT_S)


def feed_window(trial: str, request: WindowValue) -> Call[TrialView]:
    return _post(f"/v1/trials/{_id(trial)}/windows", _one(TrialView), request, ACT_S)


def hold(request: HoldRequest) -> Call[StatusView]:
    return _post("/v1/scheduler", _one(StatusView), request, ACT_S)


def release(reason: str = "asked for by the operator") -> Call[StatusView]:
    """Back to the kernel's own scheduler."""
    return Call("DELETE", "/v1/scheduler", _one(StatusView), {"reason": reason}, timeout_s=ACT_S)


def set_parameters(request: ParametersRequest) -> Call[StatusView]:
    return _post("/v1/parameters", _one(StatusView), request, ACT_S)


def rollback(request: RollbackRequest) -> Call[StatusView]:
    return _post("/v1/rollback", _one(StatusView), request, ACT_S)


def approve(id: str, request: ApprovalRequest) -> Call[TrialView]:
    return _post(f"/v1/approvals/{_id(id)}", _one(TrialView), request, ACT_S)


def record_lesson(request: LessonRequest) -> Call[LessonView]:
    return _post("/v1/lessons", _one(LessonView), request, READ_S)


def record_measurement(request: MeasurementRequest) -> Call[None]:
    return _post("/v1/measurements", _nothing, request, READ_S)


def open_episode(request: EpisodeRequest) -> Call[EpisodeView]:
    """An advisor deals with it from here on."""
    return _post("/v1/episodes", _one(EpisodeView), request, READ_S)


def record_step(episode: str, request: StepRequest) -> Call[None]:
    return _post(f"/v1/episodes/{_id(episode)}/steps", _nothing, request, READ_S)


def advise(episode: str, request: AdviceRequest) -> Call[EpisodeView]:
    return _post(f"/v1/episodes/{_id(episode)}/advice", _one(EpisodeView), request, READ_S)


def close_episode(episode: str, request: CloseRequest) -> Call[EpisodeView]:
    return _post(f"/v1/episodes/{_id(episode)}/close", _one(EpisodeView), request, READ_S)


def goal(goal: str, workload: str = "") -> Call[GoalView]:
    """What a goal in words means for a workload, or which one it is about."""
    given = {"goal": goal, "workload": workload}
    return _get("/v1/goal", _one(GoalView), {k: v for k, v in given.items() if v})


def recordings() -> Call[list[RecordingView]]:
    return _get("/v1/recordings", _many(RecordingView))


def recording(id: str) -> Call[RecordingView]:
    return _get(f"/v1/recordings/{_id(id)}", _one(RecordingView))


def record(request: RecordingRequest) -> Call[RecordingView]:
    """Begin a recording; it goes on by itself."""
    return _post("/v1/recordings", _one(RecordingView), request, READ_S)


def stop_recording(id: str) -> Call[RecordingView]:
    """End a recording early, and keep it."""
    return Call("DELETE", f"/v1/recordings/{_id(id)}", _one(RecordingView), timeout_s=ACT_S)


def trace(id: str) -> Call[bytes]:
    """The file of a finished recording, packed."""
    return Call("GET", f"/v1/recordings/{_id(id)}/trace", bytes, timeout_s=ACT_S)


def profile(workload: str) -> Call[WorkloadProfileView]:
    """What a workload is, does and waits for; takes up to a second."""
    return _get("/v1/profile", _one(WorkloadProfileView), {"workload": workload})


def probes() -> Call[list[ProbeKindView]]:
    return _get("/v1/probes", _many(ProbeKindView))


def run_probe(request: ProbeRequest) -> Call[ProbeView]:
    """Answered when the probe has looked for as long as it was asked to."""
    return _post("/v1/probes", _one(ProbeView), request, ACT_S + request.seconds)


def count_calls(request: CallsRequest) -> Call[CallsView]:
    """The calls of a program's own functions since the last such request."""
    return _post("/v1/calls", _one(CallsView), request, ACT_S)
