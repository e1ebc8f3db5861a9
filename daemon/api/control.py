# SPDX-License-Identifier: GPL-2.0-or-later
"""The acting routes, and the application of the control socket."""

import pwd

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from daemon.api import paths
from daemon.api.models import (
    AdviceRequest,
    ApprovalRequest,
    CallsRequest,
    CandidateRequest,
    CloseRequest,
    EpisodeRequest,
    HoldRequest,
    LessonRequest,
    MeasurementRequest,
    ParametersRequest,
    ProbeRequest,
    RecordingRequest,
    RollbackRequest,
    StepRequest,
    Text,
    TrialRequest,
    WindowValue,
)
from daemon.api.models import Request as RequestModel
from daemon.api.observe import reading_routes
from daemon.api.routing import PEER, answer, application, body, named, query, route
from daemon.api.service import Acting, Reading
from process import Fault, FaultType


class _ReleaseQuery(RequestModel):
    """In the query, because a body has no meaning with DELETE (RFC 9110, 9.3.5)."""

    reason: Text = "asked for by the operator"


def refuse_agent(request: Request) -> None:
    """An approval is a person's, and not the advisor's that asked for it.

    Raises:
        Fault: NOT_ALLOWED where the other end of the connection runs as the advisor's user.
    """
    try:
        agent = pwd.getpwnam(paths.AGENT_USER).pw_uid
    except KeyError:
        return
    if getattr(request.state, PEER, None) == agent:
        raise Fault(
            FaultType.NOT_ALLOWED,
            "an advisor may not approve or decline",
            why=f"the request comes from the user {paths.AGENT_USER}",
            hint="a person decides: `schedpilot approve ID` or `schedpilot decline ID`",
        )


def acting_routes(acting: Acting) -> list[Route]:
    """Every route that changes something."""

    async def create_candidate(request: Request) -> Response:
        return answer(await acting.create_candidate(await body(request, CandidateRequest)), 201)

    async def start_trial(request: Request) -> Response:
        return answer(await acting.start_trial(await body(request, TrialRequest)), 202)

    async def feed_window(request: Request) -> Response:
        trial = named(request, "trial")
        return answer(await acting.feed_window(trial, await body(request, WindowValue)))

    async def hold(request: Request) -> Response:
        return answer(await acting.hold(await body(request, HoldRequest)))

    async def release(request: Request) -> Response:
        return answer(await acting.release(query(request, _ReleaseQuery).reason))

    async def set_parameters(request: Request) -> Response:
        return answer(await acting.set_parameters(await body(request, ParametersRequest)))

    async def rollback(request: Request) -> Response:
        return answer(await acting.rollback(await body(request, RollbackRequest)))

    async def approve(request: Request) -> Response:
        approval = named(request, "approval")
        refuse_agent(request)
        return answer(await acting.approve(approval, await body(request, ApprovalRequest)))

    async def record_lesson(request: Request) -> Response:
        return answer(await acting.record_lesson(await body(request, LessonRequest)), 201)

    async def record_measurement(request: Request) -> Response:
        await acting.record_measurement(await body(request, MeasurementRequest))
        return Response(status_code=204)

    async def open_episode(request: Request) -> Response:
        return answer(await acting.open_episode(await body(request, EpisodeRequest)), 201)

    async def record_step(request: Request) -> Response:
        episode = named(request, "episode")
        await acting.record_step(episode, await body(request, StepRequest))
        return Response(status_code=204)

    async def advise(request: Request) -> Response:
        episode = named(request, "episode")
        return answer(await acting.advise(episode, await body(request, AdviceRequest)))

    async def close_episode(request: Request) -> Response:
        episode = named(request, "episode")
        return answer(await acting.close_episode(episode, await body(request, CloseRequest)))

    async def record(request: Request) -> Response:
        return answer(await acting.record(await body(request, RecordingRequest)), 202)

    async def stop_recording(request: Request) -> Response:
        return answer(await acting.stop_recording(named(request, "recording")))

    async def run_probe(request: Request) -> Response:
        # Here and not on the other socket: root loads a program into the kernel for it.
        return answer(await acting.run_probe(await body(request, ProbeRequest)))

    async def count_calls(request: Request) -> Response:
        return answer(await acting.count_calls(await body(request, CallsRequest)))

    async def trace(request: Request) -> Response:
        # Here and not on the other socket: it says what every process did at each moment.
        file = await acting.trace(named(request, "recording"))
        return FileResponse(file, media_type="application/gzip")

    return [
        route(paths.Acting.CANDIDATES, create_candidate, "POST"),
        route(paths.Acting.TRIALS, start_trial, "POST"),
        route(paths.Acting.WINDOWS, feed_window, "POST"),
        route(paths.Acting.SCHEDULER, hold, "POST"),
        route(paths.Acting.SCHEDULER, release, "DELETE"),
        route(paths.Acting.PARAMETERS, set_parameters, "POST"),
        route(paths.Acting.ROLLBACK, rollback, "POST"),
        route(paths.Acting.APPROVALS, approve, "POST"),
        route(paths.Acting.LESSONS, record_lesson, "POST"),
        route(paths.Acting.MEASUREMENTS, record_measurement, "POST"),
        route(paths.Acting.EPISODES, open_episode, "POST"),
        route(paths.Acting.STEPS, record_step, "POST"),
        route(paths.Acting.ADVICE, advise, "POST"),
        route(paths.Acting.CLOSE, close_episode, "POST"),
        route(paths.Acting.RECORDINGS, record, "POST"),
        route(paths.Acting.RECORDING, stop_recording, "DELETE"),
        route(paths.Acting.TRACE, trace),
        route(paths.Acting.PROBES, run_probe, "POST"),
        route(paths.Acting.CALLS, count_calls, "POST"),
    ]


def control_app(reading: Reading, acting: Acting) -> Starlette:
    """The application of the control socket: reading and acting."""
    return application([*reading_routes(reading), *acting_routes(acting)])
