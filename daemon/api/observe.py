# SPDX-License-Identifier: GPL-2.0-or-later
"""The reading routes, and the application of the observe socket."""

from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from daemon.api.display import displayable
from daemon.api.models import RecordId, SchedulerName, WorkloadId
from daemon.api.models import Request as RequestModel
from daemon.api.paths import Acting
from daemon.api.routing import answer, answers, application, named, problem_response, query, route
from daemon.api.service import Reading
from daemon.api.stream import frames
from process import Fault, FaultType

PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Nothing(RequestModel):
    """No parameter at all."""


class _SignalsQuery(RequestModel):
    """`last` seconds of the series of one workload."""

    workload: WorkloadId | None = None
    last: Annotated[float, Field(gt=0, le=86400)] = 300.0


class _ProfileQuery(RequestModel):
    workload: WorkloadId


class _LibraryQuery(RequestModel):
    query: Annotated[str, StringConstraints(max_length=500)] = ""
    workload: WorkloadId | None = None


class _GoalQuery(RequestModel):
    goal: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    workload: WorkloadId | None = None


class _LearnedQuery(RequestModel):
    workload: WorkloadId | None = None
    episode: RecordId | None = None


class _EpisodesQuery(RequestModel):
    last: Annotated[int, Field(ge=1, le=1000)] = 20


class _OutcomesQuery(RequestModel):
    scheduler: SchedulerName | None = None


class _EventsQuery(RequestModel):
    after: Annotated[int, Field(ge=0, lt=2**63)] = 0


def reading_routes(reading: Reading) -> list[Route]:
    """Every route that reads; a handler here can reach nothing that acts."""

    async def status(request: Request) -> Response:
        query(request, _Nothing)
        return answer(await reading.status())

    async def signals(request: Request) -> Response:
        wanted = query(request, _SignalsQuery)
        return answer(await reading.signals(wanted.workload or "", wanted.last))

    async def workloads(request: Request) -> Response:
        query(request, _Nothing)
        return answers(await reading.workloads())

    async def workload(request: Request) -> Response:
        return answer(await reading.workload(named(request, "workload")))

    async def profile(request: Request) -> Response:
        return answer(await reading.workload_profile(query(request, _ProfileQuery).workload))

    async def probes(request: Request) -> Response:
        query(request, _Nothing)
        return answers(await reading.probes())

    async def library(request: Request) -> Response:
        wanted = query(request, _LibraryQuery)
        return answers(await reading.library(wanted.query, wanted.workload or ""))

    async def scheduler(request: Request) -> Response:
        return answer(await reading.scheduler(named(request, "scheduler")))

    async def candidate(request: Request) -> Response:
        return answer(await reading.candidate(named(request, "candidate")))

    async def trial(request: Request) -> Response:
        return answer(await reading.trial(named(request, "trial")))

    async def episodes(request: Request) -> Response:
        return answers(await reading.episodes(query(request, _EpisodesQuery).last))

    async def episode(request: Request) -> Response:
        return answer(await reading.episode(named(request, "episode")))

    async def steps(request: Request) -> Response:
        return answers(await reading.steps(named(request, "episode")))

    async def outcomes(request: Request) -> Response:
        return answers(await reading.outcomes(query(request, _OutcomesQuery).scheduler or ""))

    async def lessons(request: Request) -> Response:
        query(request, _Nothing)
        return answers(await reading.lessons())

    async def learned(request: Request) -> Response:
        wanted = query(request, _LearnedQuery)
        return answer(await reading.learned(wanted.workload or "", wanted.episode or ""))

    async def goal(request: Request) -> Response:
        wanted = query(request, _GoalQuery)
        return answer(await reading.goal(wanted.goal, wanted.workload or ""))

    async def recordings(request: Request) -> Response:
        query(request, _Nothing)
        return answers(await reading.recordings())

    async def recording(request: Request) -> Response:
        return answer(await reading.recording(named(request, "recording")))

    async def metrics(request: Request) -> Response:
        return Response(await reading.metrics(), media_type=PROMETHEUS_TEXT)

    async def recorded_events(request: Request) -> Response:
        return answers(await reading.recorded_events(query(request, _EventsQuery).after))

    async def events(request: Request) -> Response:
        after = query(request, _EventsQuery).after
        # A client that lost its connection asks the same URL again and says here how far it got.
        resumed = request.headers.get("last-event-id", "")
        if resumed.isascii() and resumed.isdecimal() and len(resumed) < 19:
            after = int(resumed)
        headers = {"cache-control": "no-store"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")
        # Set by daemon/service/server.py while it serves.
        stopping = getattr(request.app.state, "stopping", None)
        return StreamingResponse(
            frames(reading.events(after), stopping),
            headers=headers,
            media_type="text/event-stream",
        )

    return [
        route("/v1/status", status),
        route("/v1/signals", signals),
        route("/v1/workloads", workloads),
        route("/v1/workloads/{id:anything}", workload),
        route("/v1/profile", profile),
        route("/v1/probes", probes),
        route("/v1/library", library),
        route("/v1/library/{id}", scheduler),
        route("/v1/candidates/{id}", candidate),
        route("/v1/trials/{id}", trial),
        route("/v1/episodes", episodes),
        route("/v1/episodes/{id}", episode),
        route("/v1/episodes/{id}/steps", steps),
        route("/v1/outcomes", outcomes),
        route("/v1/lessons", lessons),
        route("/v1/learned", learned),
        route("/v1/goal", goal),
        route("/v1/recordings", recordings),
        route("/v1/recordings/{id}", recording),
        route("/v1/events", events),
        route("/v1/events/recorded", recorded_events),
        route("/metrics", metrics),
    ]


def observe_app(reading: Reading) -> Starlette:
    """The application of the observe socket: reading, and a signpost where acting would be."""
    routes = reading_routes(reading)
    read = {each.path for each in routes}

    async def elsewhere(request: Request) -> Response:
        path = request.scope["path"]
        fault = Fault(
            FaultType.NOT_ALLOWED,
            f"{request.method} {displayable(path)} is not answered on the observe socket",
            why="this socket only reads",
            hint="use control.sock in the same folder (root and group `schedpilot` may open it)",
        )
        response = problem_response(request, fault, status=405)
        response.headers["allow"] = "GET, HEAD" if path in read else ""
        return response

    for path in Acting:
        methods = ["GET"] if path is Acting.TRACE else ["POST"]
        if path in (Acting.SCHEDULER, Acting.RECORDING):
            methods = ["POST", "DELETE"]
        routes += [route(path, elsewhere, method) for method in methods]
    return application(routes)
