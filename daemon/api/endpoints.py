# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of endpoints: everything that can be asked of the daemon.

A new endpoint is a method here and one of the same name and parameters on a handler in
`daemon/handlers/`. Run `python -m daemon.api.reference` afterwards: it writes the list in the
README.
"""

# These methods are declarations: the decorator reads their signatures, and nobody calls them.
# mypy: disable-error-code="empty-body"

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from daemon.api.endpoint import ACT_S, GATES_S, Endpoint, SentAs, Surface, control, observe
from daemon.api.models import (
    AdviceRequest,
    ApprovalId,
    ApprovalRequest,
    CallsRequest,
    CallsView,
    CandidateId,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    EpisodeId,
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
    RecordId,
    RecordingId,
    RecordingRequest,
    RecordingView,
    RollbackRequest,
    SchedulerDetail,
    SchedulerName,
    SchedulerView,
    SignalsView,
    StatusView,
    StepRequest,
    StepView,
    Text,
    TrialId,
    TrialRequest,
    TrialView,
    WindowValue,
    WorkloadDetail,
    WorkloadId,
    WorkloadProfileView,
    WorkloadView,
)

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"
GZIP = "application/gzip"

# Words that a person typed, in a query.
Words = Annotated[str, StringConstraints(max_length=500)]
# The number of an event; the answer has those after it.
After = Annotated[int, Field(ge=0, lt=2**63)]


class Endpoints:
    """Both clients have these methods; `ALL` is the same as a list."""

    # The daemon.

    @observe.get("/v1/status")
    def status(self) -> StatusView:
        """What runs, what is worse than before, and what waits for a person."""

    @observe.stream("/v1/events")
    def events(self, after: After = 0) -> Event:
        """The events after a number that are still held, then new ones as they happen."""

    @observe.get("/v1/events/recorded")
    def recorded_events(self, after: After = 0) -> list[Event]:
        """The events after a number that are still held, oldest first."""

    @observe.get("/metrics", media_type=PROMETHEUS_TEXT)
    def metrics(self) -> str:
        """The daemon's metrics in Prometheus' text format."""

    @observe.get("/v1/openapi.json", limit_s=ACT_S)
    def openapi(self) -> dict[str, Any]:
        """The endpoints of this socket as an OpenAPI 3.1 document."""

    # Workloads, and a closer look at them.

    @observe.get("/v1/signals")
    def signals(
        self,
        workload: WorkloadId = "",
        last_s: Annotated[float, SentAs("last"), Field(gt=0, le=86400)] = 300.0,
    ) -> SignalsView:
        """The newest interval; with a workload, its series of the last `last` seconds."""

    @observe.get("/v1/workloads")
    def workloads(self) -> list[WorkloadView]:
        """All workloads that the signals report."""

    @observe.get("/v1/workloads/{id:anything}")
    def workload(self, id: WorkloadId) -> WorkloadDetail:
        """One workload, its profile and its processes."""

    @observe.get("/v1/profile")
    def workload_profile(self, workload: WorkloadId) -> WorkloadProfileView:
        """What a workload is, does and waits for; the answer takes up to a second."""

    @observe.get("/v1/goal")
    def goal(
        self,
        goal: Annotated[str, StringConstraints(min_length=1, max_length=500)],
        workload: WorkloadId = "",
    ) -> GoalView:
        """What a goal in words means for a workload, or which workload it is about."""

    @observe.get("/v1/probes")
    def probes(self) -> list[ProbeKindView]:
        """All probes, and what each of them lacks on this machine."""

    @control.post("/v1/probes", limit_s=ACT_S, limit_plus="seconds")
    def run_probe(self, request: ProbeRequest) -> ProbeView:
        """Runs a probe, and answers after the requested time."""

    @control.post("/v1/calls", limit_s=ACT_S)
    def count_calls(self, request: CallsRequest) -> CallsView:
        """The calls of a program's own functions since the last such request; the first request
        attaches the probe."""

    @control.post("/v1/measurements")
    def record_measurement(self, request: MeasurementRequest) -> None:
        """Records a number that an application or the agent measured."""

    # Schedulers, candidates and trials.

    @observe.get("/v1/library")
    def library(self, query: Words = "", workload: WorkloadId = "") -> list[SchedulerView]:
        """All entries; with a query or a workload, the ones that fit, best first, with reasons."""

    @observe.get("/v1/library/{id}")
    def scheduler(self, name: SchedulerName) -> SchedulerDetail:
        """One entry, with its parameters and its page."""

    @control.post("/v1/candidates", status=201, limit_s=GATES_S)
    def create_candidate(self, request: CandidateRequest) -> CandidateView:
        """Makes a candidate and runs the gates; answers when they are done."""

    @observe.get("/v1/candidates/{id}")
    def candidate(self, id: CandidateId) -> CandidateView:
        """One candidate, and the results of its gates."""

    @control.post("/v1/trials", status=202, limit_s=ACT_S)
    def start_trial(self, request: TrialRequest) -> TrialView:
        """Starts a trial, and answers at once; the trial goes on by itself."""

    @observe.get("/v1/trials/{id}")
    def trial(self, id: TrialId) -> TrialView:
        """One trial, with its windows and its verdict."""

    @control.post("/v1/trials/{id}/windows", limit_s=ACT_S)
    def feed_window(self, trial: TrialId, request: WindowValue) -> TrialView:
        """Reports the value of a finished window of a trial that the client measures."""

    @control.post("/v1/approvals/{id}", limit_s=ACT_S, persons_only=True)
    def approve(self, id: ApprovalId, request: ApprovalRequest) -> TrialView:
        """Approves or declines a trial that waits for a person."""

    @control.post("/v1/scheduler", limit_s=ACT_S)
    def hold(self, request: HoldRequest) -> StatusView:
        """Loads a proven candidate and keeps it loaded."""

    @control.delete("/v1/scheduler", limit_s=ACT_S)
    def release(self, reason: Text = "asked for by the operator") -> StatusView:
        """Goes back to the kernel's own scheduler."""

    @control.post("/v1/parameters", limit_s=ACT_S)
    def set_parameters(self, request: ParametersRequest) -> StatusView:
        """Changes live parameters of the loaded scheduler, or entries of its maps."""

    @control.post("/v1/rollback", limit_s=ACT_S)
    def rollback(self, request: RollbackRequest) -> StatusView:
        """Goes back to what ran before."""

    # Episodes.

    @observe.get("/v1/episodes")
    def episodes(self, last: Annotated[int, Field(ge=1, le=1000)] = 20) -> list[EpisodeView]:
        """The last episodes, newest first."""

    @control.post("/v1/episodes", status=201)
    def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        """Opens an episode for a person; an advisor then works on it."""

    @observe.get("/v1/episodes/{id}")
    def episode(self, id: EpisodeId) -> EpisodeView:
        """One episode, with its trials and its events."""

    @observe.get("/v1/episodes/{id}/steps")
    def steps(self, episode: EpisodeId) -> list[StepView]:
        """The transcript of an episode, oldest line first."""

    @control.post("/v1/episodes/{id}/steps")
    def record_step(self, episode: EpisodeId, request: StepRequest) -> None:
        """Adds a line to the transcript."""

    @control.post("/v1/episodes/{id}/advice")
    def advise(self, episode: EpisodeId, request: AdviceRequest) -> EpisodeView:
        """Records what an advisor would do."""

    @control.post("/v1/episodes/{id}/close")
    def close_episode(self, episode: EpisodeId, request: CloseRequest) -> EpisodeView:
        """Closes an episode, with its outcome and its cost."""

    # What is remembered.

    @observe.get("/v1/outcomes")
    def outcomes(self, scheduler: SchedulerName = "") -> list[OutcomeView]:
        """The verdicts of earlier trials; with a scheduler, its own."""

    @observe.get("/v1/learned")
    def learned(self, workload: WorkloadId = "", *, episode: RecordId = "") -> LearnedView:
        """What was learned, and from what; with a workload or an episode, only about that one."""

    @observe.get("/v1/lessons")
    def lessons(self) -> list[LessonView]:
        """The lessons, and what confirmed or contradicted each."""

    @control.post("/v1/lessons", status=201)
    def record_lesson(self, request: LessonRequest) -> LessonView:
        """Records a lesson."""

    # Recordings of the machine's activity.

    @observe.get("/v1/recordings")
    def recordings(self) -> list[RecordingView]:
        """All recordings."""

    @control.post("/v1/recordings", status=202)
    def record(self, request: RecordingRequest) -> RecordingView:
        """Starts a recording, and answers at once; the recording goes on by itself."""

    @observe.get("/v1/recordings/{id}")
    def recording(self, id: RecordingId) -> RecordingView:
        """One recording, and its progress."""

    @control.delete("/v1/recordings/{id}", limit_s=ACT_S)
    def stop_recording(self, id: RecordingId) -> RecordingView:
        """Ends a recording early, and keeps it."""

    # On the control socket, because it shows what every process did at each moment.
    @control.get("/v1/recordings/{id}/trace", limit_s=ACT_S, media_type=GZIP)
    def trace(self, id: RecordingId) -> bytes:
        """The file of a finished recording (docs/traces.md), compressed."""


ALL: tuple[Endpoint, ...] = tuple(
    each for each in vars(Endpoints).values() if isinstance(each, Endpoint)
)


def answered_on(surface: Surface) -> tuple[Endpoint, ...]:
    """The endpoints of one socket."""
    return tuple(each for each in ALL if surface is Surface.CONTROL or each.surface is surface)
