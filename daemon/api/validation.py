# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports what is wrong with a request, field by field, without repeating its content."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from daemon.api.display import displayable
from process import Fault, FaultType
from process.invalid import Location, key_of, keys_at, nearest

# How many fields are named, and how much of each name is shown, characters.
FIELDS_SHOWN = 20
_NAME_LIMIT = 60
_REASON_LIMIT = 200

Model = TypeVar("Model", bound=BaseModel)


def from_json(model: type[Model], body: bytes) -> Model:
    """A request's body as a model; an empty body is an empty object.

    Raises:
        Fault: BAD_REQUEST, with a line for each field that is wrong.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _fault(error, model, "the request body", "field") from None


def from_query(model: type[Model], parameters: Iterable[tuple[str, str]]) -> Model:
    """The parameters after the `?` as a model.

    Raises:
        Fault: BAD_REQUEST, with a line for each parameter that is wrong.
    """
    try:
        return model.model_validate(dict(parameters))
    except ValidationError as error:
        raise _fault(error, model, "the query", "parameter") from None


def from_values(model: type[Model], values: Mapping[str, object]) -> Model:
    """The arguments of a call as a model.

    Raises:
        Fault: BAD_REQUEST, with a line for each argument that is wrong.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _fault(error, model, "what was given", "argument") from None


def _fault(error: ValidationError, model: type[BaseModel], subject: str, noun: str) -> Fault:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return Fault(
            FaultType.BAD_REQUEST,
            f"{subject} is not JSON",
            why=str(found[0].get("ctx", {}).get("error", "")),
            hint="send one JSON object, encoded as UTF-8",
        )
    reasons: dict[str, list[str]] = {}
    unknown = False
    for each in found:
        location = key_of(each)
        reason = each["msg"]
        if each["type"] == "extra_forbidden":
            unknown = True
            reason = _unknown(location, model, noun)
        told = reasons.setdefault(_path(location), [])
        if reason not in told:
            told.append(reason)
    lines = [
        f"{path}: {displayable(', or: '.join(told), _REASON_LIMIT)}"
        for path, told in reasons.items()
    ]
    if len(lines) > FIELDS_SHOWN:
        lines[FIELDS_SHOWN:] = [f"and {len(lines) - FIELDS_SHOWN} more"]
    return Fault(
        FaultType.BAD_REQUEST,
        f"{subject} does not fit",
        why=lines[0] if len(lines) == 1 else f"{len(reasons)} {noun}s are wrong",
        hint=f"{noun}s known here: {', '.join(model.model_fields) or 'none'}" if unknown else "",
        details=tuple(lines),
    )


def _path(location: Location) -> str:
    steps = [displayable(str(step), _NAME_LIMIT) for step in location[:6]]
    return ".".join(steps) or "(the whole)"


def _unknown(location: Location, model: type[BaseModel], noun: str) -> str:
    near = nearest(str(location[-1])[:_NAME_LIMIT], keys_at(model, location[:-1]), cutoff=0.6)
    return f"unknown {noun}; the nearest known one is {near}" if near else f"unknown {noun}"
