# SPDX-License-Identifier: GPL-2.0-or-later
"""The applications of both sockets: a handler's method answers each endpoint of the table.

A handler is any object; its method with an endpoint's name answers that endpoint. It gets the
endpoint's parameters in their order, checked.
"""

import asyncio
import pwd
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, create_model
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from daemon.api import paths
from daemon.api.display import displayable
from daemon.api.endpoint import READ_S, Endpoint, Place, Streamed, Surface
from daemon.api.endpoints import ALL, answered_on
from daemon.api.models import Event
from daemon.api.models import Request as RequestModel
from daemon.api.routing import (
    PEER,
    Handler,
    answer,
    answers,
    application,
    body,
    named,
    problem_response,
    query,
    route,
)
from daemon.api.stream import frames
from process import Fault, FaultType, run


def control_app(*handlers: object) -> Starlette:
    """The application of the control socket: reading and acting."""
    return application(_routes(Surface.CONTROL, handlers))


def observe_app(*handlers: object) -> Starlette:
    """The application of the observe socket: reading, and a hint for requests that would act."""
    routes = _routes(Surface.OBSERVE, handlers)
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

    acting = [each for each in ALL if each.surface is Surface.CONTROL]
    return application([*routes, *(route(each.path, elsewhere, each.method) for each in acting)])


class _Description:
    """Answers with the description of what this socket answers."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._making = asyncio.Lock()

    async def openapi(self) -> str:
        # Everybody may request it, and it takes half a second of a CPU.
        async with self._making:
            return await asyncio.to_thread(_described, self._surface)


def _described(surface: Surface) -> str:
    """The document of a socket, as JSON. A child makes it: the daemon would keep the memory that
    this takes, and hardly anybody asks for it."""
    words = [sys.executable, "-P", "-m", "daemon.api.openapi", surface.value]
    return run(words, timeout=READ_S, name="the API's description").stdout.decode()


def _routes(surface: Surface, handlers: Sequence[object]) -> list[Route]:
    """A route for each endpoint of this socket; no other method of a handler is reachable.

    Raises:
        TypeError: an endpoint has no handler method, or several.
    """
    handlers = (*handlers, _Description(surface))
    return [_route(each, _answering(each, handlers)) for each in answered_on(surface)]


def _answering(endpoint: Endpoint, handlers: Sequence[object]) -> object:
    """The handler that has a method for this endpoint."""
    found = [each for each in handlers if hasattr(each, endpoint.name)]
    if len(found) != 1:
        raise TypeError(f"{len(found)} handlers have a method {endpoint.name}; there must be one")
    return found[0]


def _route(endpoint: Endpoint, handler: object) -> Route:
    if isinstance(endpoint, Streamed):
        return route(endpoint.path, _streaming(endpoint, handler), endpoint.method)

    async def handle(request: Request) -> Response:
        method: Callable[..., Awaitable[Any]] = getattr(handler, endpoint.name)
        return _response(endpoint, await method(*await _arguments(endpoint, request)))

    return route(endpoint.path, handle, endpoint.method)


async def _arguments(endpoint: Endpoint, request: Request) -> list[Any]:
    """The request's value for each parameter, in their order.

    Raises:
        Fault: BAD_NAME, NOT_ALLOWED, BAD_REQUEST or TOO_LARGE.
    """
    found: dict[str, Any] = {}
    for each in endpoint.at(Place.PATH):
        found[each.name] = named(request, each.type)
    if endpoint.persons_only:
        refuse_agent(request)
    asked = endpoint.at(Place.QUERY)
    if asked or _takes_no_query(endpoint):
        values = query(request, _query_model(endpoint))
        found |= {each.name: getattr(values, each.sent_as) for each in asked}
    for each in endpoint.at(Place.BODY):
        found[each.name] = await body(request, each.type)
    return [found[each.name] for each in endpoint.parameters]


def _takes_no_query(endpoint: Endpoint) -> bool:
    """Whether a query is an error. Scrapers of metrics may add their own parameters."""
    return endpoint.method == "GET" and not endpoint.parameters and endpoint.answer is not str


_query_models: dict[str, type[RequestModel]] = {}


def _query_model(endpoint: Endpoint) -> type[RequestModel]:
    """The parameters after the `?`, by name. Made when it is first needed."""
    if endpoint.name not in _query_models:
        fields: dict[str, Any] = {
            each.sent_as: (each.type, ... if each.required else each.default)
            for each in endpoint.at(Place.QUERY)
        }
        _query_models[endpoint.name] = create_model("Query", __base__=RequestModel, **fields)
    return _query_models[endpoint.name]


# A handler's answer decides how it is written.
Written = BaseModel | list[BaseModel] | str | Path | None


def _response(endpoint: Endpoint, value: Written) -> Response:
    match value:
        case None:
            return Response(status_code=endpoint.status)
        case str():
            return Response(value, media_type=endpoint.media_type)
        case Path():
            return FileResponse(value, media_type=endpoint.media_type)
        case list():
            return answers(value)
        case BaseModel():
            return answer(value, endpoint.status)


def _streaming(endpoint: Endpoint, handler: object) -> Handler:
    async def handle(request: Request) -> Response:
        subscribe: Callable[..., AsyncIterator[Event]] = getattr(handler, endpoint.name)
        (after,) = await _arguments(endpoint, request)
        # A client that lost its connection requests the same URL again and says here how far it
        # got.
        resumed = request.headers.get("last-event-id", "")
        if resumed.isascii() and resumed.isdecimal() and len(resumed) < 19:
            after = int(resumed)
        headers = {"cache-control": "no-store"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=endpoint.media_type)
        # daemon/service/server.py sets it while it serves.
        stopping = getattr(request.app.state, "stopping", None)
        return StreamingResponse(
            frames(subscribe(after), stopping), headers=headers, media_type=endpoint.media_type
        )

    return handle


def refuse_agent(request: Request) -> None:
    """Only a person may approve, and not the advisor that asked for it.

    Raises:
        Fault: NOT_ALLOWED if the peer runs as the advisor's user.
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
