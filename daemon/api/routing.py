# SPDX-License-Identifier: GPL-2.0-or-later
"""Common parts of both sockets' routes: bodies in, answers and problems out."""

import asyncio
import difflib
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from daemon.api.display import displayable
from daemon.api.endpoint import Constrained, marked
from daemon.api.models import BODY_LIMIT_BYTES, Named
from daemon.api.problems import MEDIA_TYPE, problem_of
from daemon.api.validation import from_json, from_query
from process import Fault, FaultType

Handler = Callable[[Request], Awaitable[Response]]
Model = TypeVar("Model", bound=BaseModel)

# Where the server stores the peer's user id in a request's state.
PEER = "peer_user"

_log = logging.getLogger("schedpilotd.api")


class _Anything(Convertor[str]):
    """Like starlette's `path`, plus newlines: a process may have one in its name."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())


def answer(model: BaseModel, status: int = 200) -> Response:
    return Response(model.model_dump_json(), status, media_type="application/json")


def answers(models: Sequence[BaseModel]) -> Response:
    body = b"[" + b",".join(each.model_dump_json().encode() for each in models) + b"]"
    return Response(body, media_type="application/json")


def problem_response(request: Request, fault: Fault, *, status: int = 0) -> Response:
    problem = problem_of(fault, instance=request.scope["path"], status=status)
    response = Response(problem.model_dump_json(), problem.status, media_type=MEDIA_TYPE)
    if fault.type is FaultType.TOO_LARGE:
        # The rest of the body is not wanted; without this the server would read all of it.
        response.headers["connection"] = "close"
    return response


@functools.cache
def _checks(type: Constrained) -> TypeAdapter[str]:
    return TypeAdapter(type)


def named(request: Request, type: Constrained) -> str:
    """The path's id, checked; `type` says what kind it is.

    Raises:
        Fault: BAD_NAME.
    """
    text: str = request.path_params["id"]
    try:
        return _checks(type).validate_python(text)
    except ValidationError:
        shape = marked(type, Named)
        assert shape is not None, type
        raise Fault(
            FaultType.BAD_NAME,
            f"{displayable(text, 80)!r} names no {shape.kind}",
            hint=shape.shape,
        ) from None


def query(request: Request, model: type[Model]) -> Model:
    return from_query(model, request.query_params.multi_items())


async def body(request: Request, model: type[Model]) -> Model:
    """The body as a model; reading stops as soon as it is too large.

    Raises:
        Fault: TOO_LARGE or BAD_REQUEST.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > BODY_LIMIT_BYTES:
        raise _too_large()
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > BODY_LIMIT_BYTES:
            raise _too_large()
    return from_json(model, bytes(parts))


def _too_large() -> Fault:
    return Fault(
        FaultType.TOO_LARGE,
        "the request body is too large",
        why=f"at most {BODY_LIMIT_BYTES} bytes are taken",
    )


def route(path: str, handler: Handler, method: str = "GET") -> Route:
    """A route on which every trouble becomes a problem, and no defect shows internals."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except Fault as fault:
            return problem_response(request, fault)
        except asyncio.CancelledError:
            # The server's last resort for requests that outlast its end; this task handles only
            # this request.
            return problem_response(request, _stopping())
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:  # noqa: BLE001 - the last line of defence; logged with its traceback
            _log.exception(
                "a defect while answering %s %s", method, displayable(request.scope["path"])
            )
            return problem_response(request, _defect())

    return Route(path, guarded, methods=[method])


def _defect() -> Fault:
    return Fault(
        FaultType.INTERNAL,
        "the daemon met a defect of its own while answering",
        hint="the journal has the details: `journalctl -t schedpilotd -p err`; please report it",
    )


def _stopping() -> Fault:
    return Fault(
        FaultType.UNREACHABLE,
        "the daemon gave this request up",
        why="it is stopping",
        hint="ask again when it is back: `systemctl status schedpilotd`",
    )


def application(routes: list[Route]) -> Starlette:
    """The routes as an application that also answers unknown paths with problems."""
    paths = sorted({each.path for each in routes})

    async def unrouted(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        shown = displayable(request.scope["path"])
        if error.status_code == 405:
            fault = Fault(
                FaultType.NOT_ALLOWED,
                f"{request.method} is not answered at {shown}",
                hint=f"methods answered there: {(error.headers or {}).get('Allow', '')}",
            )
        else:
            nearest = difflib.get_close_matches(shown, paths, n=1)
            fault = Fault(
                FaultType.NOT_FOUND,
                f"nothing is at {shown}",
                hint=f"the nearest known path is {nearest[0]}" if nearest else "",
            )
        response = problem_response(request, fault, status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    handlers: dict[Any, Any] = {HTTPException: unrouted}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return app
