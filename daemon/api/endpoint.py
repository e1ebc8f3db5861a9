# SPDX-License-Identifier: GPL-2.0-or-later
"""The type of an endpoint, and how the table in `endpoints.py` declares one.

An endpoint is declared as a method without a body. Its name is that of the handler's method that
answers it and of the clients' methods that ask it. Its parameters are what a client sends, its
return type is the answer, and its docstring is its summary. From this alone come the routes of
both sockets, both clients, the OpenAPI document and the list in the README.
"""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import (
    Any,
    Concatenate,
    Generic,
    ParamSpec,
    Self,
    TypeVar,
    get_args,
    get_origin,
    overload,
)
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from daemon.api.models import Event, Request

P = ParamSpec("P")
T = TypeVar("T")

# A type with its constraints, as `Annotated` holds them.
Constrained = Any

# How long an answer may take, seconds: reading is immediate; loading a scheduler and unloading one
# wait for the kernel; a candidate passes every gate before it is answered.
READ_S = 30.0
ACT_S = 120.0
GATES_S = 1800.0
# A stream ends with the daemon, or when the client has enough.
ENDLESS_S = 0.0

JSON = "application/json"
EVENT_STREAM = "text/event-stream"


class Surface(StrEnum):
    """The socket that answers.

    The control socket also answers everything that the observe socket does.
    """

    OBSERVE = "observe"
    CONTROL = "control"


class Place(StrEnum):
    """The place of a parameter in a request."""

    PATH = "path"
    QUERY = "query"
    BODY = "body"


@dataclass(frozen=True)
class SentAs:
    """The name of a query parameter on the wire, where it is not its name in Python."""

    name: str


@dataclass(frozen=True)
class EndpointParameter:
    """One parameter of an endpoint. `type` has its constraints (`Annotated`)."""

    name: str
    sent_as: str
    type: Constrained
    default: Any
    place: Place

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[bytes], T]
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: BaseModel | None = None
    timeout_s: float = READ_S


class Blocking:
    """A client that waits for its answers."""

    def send(self, call: Call[T]) -> T:
        raise NotImplementedError

    def follow(self, call: Call[None]) -> Iterator[Event]:
        raise NotImplementedError


class Awaiting:
    """A client whose answers are awaited."""

    async def send(self, call: Call[T]) -> T:
        raise NotImplementedError

    def follow(self, call: Call[None]) -> AsyncIterator[Event]:
        raise NotImplementedError


class Endpoint:
    """One row of the table.

    `path` may have one `{id}`, which the first parameter fills. `limit_s` is how long a client
    waits for the answer, and `limit_plus` names a field of the body that is added to it, seconds.
    An endpoint for `persons_only` is refused to the advisor's user.
    """

    def __init__(
        self,
        declared: Callable[..., Any],
        method: str,
        path: str,
        surface: Surface,
        *,
        status: int = 200,
        limit_s: float = READ_S,
        limit_plus: str = "",
        media_type: str = JSON,
        persons_only: bool = False,
    ) -> None:
        self.name = declared.__name__
        self.method = method
        self.path = path
        self.surface = surface
        nothing = declared.__annotations__["return"] is None
        self.status = 204 if nothing else status
        self.limit_s = limit_s
        self.limit_plus = limit_plus
        self.media_type = media_type
        self.persons_only = persons_only
        self.declared = declared
        self.__doc__ = declared.__doc__

    @property
    def template(self) -> str:
        """The path without the name of a convertor: `/v1/workloads/{id}`."""
        return re.sub(r":\w+\}", "}", self.path)

    @property
    def answer(self) -> Constrained:
        """The type of the answer: a model, a list of one, `str`, `bytes`, or None for none."""
        return self._signature.return_annotation

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.declared)

    @cached_property
    def parameters(self) -> tuple[EndpointParameter, ...]:
        """In the order of their declaration."""
        found: list[EndpointParameter] = []
        for each in list(self._signature.parameters.values())[1:]:
            type = each.annotation
            place = Place.QUERY
            if "{" in self.path and not found:
                place = Place.PATH
            elif inspect.isclass(type) and issubclass(type, Request):
                place = Place.BODY
            sent_as = marked(type, SentAs)
            found.append(
                EndpointParameter(
                    each.name, sent_as.name if sent_as else each.name, type, each.default, place
                )
            )
        return tuple(found)

    def at(self, place: Place) -> tuple[EndpointParameter, ...]:
        return tuple(each for each in self.parameters if each.place is place)

    def _call(
        self, read: Callable[[bytes], T], args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Call[T]:
        given: Mapping[str, Any] = self._signature.bind(None, *args, **kwargs).arguments
        path, query, body = self.template, {}, None
        for each in self.parameters:
            value = given.get(each.name, each.default)
            if each.place is Place.PATH:
                path = path.replace("{id}", quote(value, safe="", errors="surrogateescape"))
            elif each.place is Place.BODY:
                body = value
            elif value != each.default:
                query[each.sent_as] = f"{value:g}" if isinstance(value, float) else str(value)
        limit_s = self.limit_s + (getattr(body, self.limit_plus) if self.limit_plus else 0.0)
        return Call(self.method, path, read, query, body, limit_s)


class Answered(Endpoint, Generic[P, T]):
    """An endpoint with one answer; as a member of a client, the method that asks for it."""

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """The request as a value; nothing is sent."""
        return self._call(self._read, args, kwargs)

    def _read(self, raw: bytes) -> T:
        answer = self.answer
        if answer is None:
            return None  # type: ignore[return-value]
        if answer is str:
            return raw.decode()  # type: ignore[return-value]
        if answer is bytes:
            return raw  # type: ignore[return-value]
        # The adapter is made when an answer has to be read: most processes need few of them.
        found: T = TypeAdapter(answer).validate_json(raw)
        return found

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: object) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: object) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: object) -> Any:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> T | Coroutine[Any, Any, T]:
            return client.send(self.call(*args, **kwargs))

        return method


class Streamed(Endpoint, Generic[P]):
    """An endpoint that answers with events, without end."""

    def call(self, *args: P.args, **kwargs: P.kwargs) -> Call[None]:
        return self._call(lambda raw: None, args, kwargs)

    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    @overload
    def __get__(self, client: Blocking, owner: object) -> Callable[P, Iterator[Event]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: object) -> Callable[P, AsyncIterator[Event]]: ...
    def __get__(self, client: Blocking | Awaiting | None, owner: object) -> Any:
        if client is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Iterator[Event] | AsyncIterator[Event]:
            return client.follow(self.call(*args, **kwargs))

        return method


Declared = Callable[Concatenate[Any, P], T]


class On:
    """Declares the endpoints of one surface."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    def get(
        self, path: str, *, limit_s: float = READ_S, media_type: str = JSON
    ) -> Callable[[Declared[P, T]], Answered[P, T]]:
        return lambda declared: Answered(
            declared, "GET", path, self._surface, limit_s=limit_s, media_type=media_type
        )

    def stream(self, path: str) -> Callable[[Declared[P, Event]], Streamed[P]]:
        return lambda declared: Streamed(
            declared, "GET", path, self._surface, limit_s=ENDLESS_S, media_type=EVENT_STREAM
        )

    def post(
        self,
        path: str,
        *,
        status: int = 200,
        limit_s: float = READ_S,
        limit_plus: str = "",
        persons_only: bool = False,
    ) -> Callable[[Declared[P, T]], Answered[P, T]]:
        return lambda declared: Answered(
            declared,
            "POST",
            path,
            self._surface,
            status=status,
            limit_s=limit_s,
            limit_plus=limit_plus,
            persons_only=persons_only,
        )

    def delete(
        self, path: str, *, limit_s: float = READ_S
    ) -> Callable[[Declared[P, T]], Answered[P, T]]:
        return lambda declared: Answered(declared, "DELETE", path, self._surface, limit_s=limit_s)


observe = On(Surface.OBSERVE)
control = On(Surface.CONTROL)

Mark = TypeVar("Mark")


def marked(type: Constrained, mark: type[Mark]) -> Mark | None:
    """The mark of this kind that an annotated type carries."""
    marks = getattr(type, "__metadata__", ())
    return next((each for each in marks if isinstance(each, mark)), None)


def item_of(answer: Constrained) -> Constrained:
    """The type of the items, where an answer is a list; else None."""
    origin: object = get_origin(answer)
    return get_args(answer)[0] if origin is list else None
