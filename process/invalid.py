# SPDX-License-Identifier: GPL-2.0-or-later
"""What pydantic found, as sentences for the person who wrote the value.

Files (configuration, manifests) get every problem with its key and the rejected value. Requests and
answers of other programs are hostile, so for them only the place and pydantic's message are used.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from process.fault import Fault, FaultType

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    Model = TypeVar("Model", bound=BaseModel)

Location = tuple[int | str, ...]
# A sentence of the caller's own for a problem; None leaves it to this module.
OwnSentence = Callable[["ErrorDetails"], str | None]

# The maximum length of a rejected value in a message, characters.
_VALUE_LIMIT = 80
# pydantic puts the union member that it tried last into the location. For the person who wrote the
# value, one that may have any of four types is one key.
_UNION_MEMBERS = frozenset({"bool", "int", "float", "str"})
_BOUNDS = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}


def first_problem(error: "ValidationError") -> str:
    """`place: problem`; only the problem, if it is about the whole. The value is not repeated."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]


def valid_tables(
    model: "type[Model]",
    raw: dict[str, Any],
    *,
    type: FaultType,
    what: str,
    where: str,
    hint: str,
    own: OwnSentence = lambda _: None,
) -> "Model":
    """The tables of a file as a model. `what` (`the manifest`) names the file in a fault.

    Raises:
        Fault: of this type, with every problem as a line of `details`.
    """
    from pydantic import ValidationError

    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # A value of several allowed types has a problem for each of them.
        reasons: dict[str, list[str]] = {}
        for each in error.errors(include_url=False):
            key = key_name(key_of(each)) or "the whole file"
            reasons.setdefault(key, []).append(own(each) or sentence(each, model))
        problems = tuple(f"{key}: {', or: '.join(said)}" for key, said in reasons.items())
        raise Fault(
            type,
            f"{what} has {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            where=where,
            why=problems[0],
            hint=hint,
            details=problems,
        ) from None


def key_of(error: "ErrorDetails") -> Location:
    """The place of a problem, without the type that pydantic tried last."""
    location = error["loc"]
    if error["type"] in ("extra_forbidden", "missing") or len(location) < 2:
        return location
    return location[:-1] if location[-1] in _UNION_MEMBERS else location


def key_name(location: Location, *, first: int = 0) -> str:
    """`params[0].unit`; `first` is the number of a list's first entry."""
    name = ""
    for part in location:
        name += f"[{part + first}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def sentence(error: "ErrorDetails", model: "type[BaseModel]") -> str:
    """What is wrong with the value at this place of a file. `model` is that of the whole file."""
    location = key_of(error)
    value = _shown(error["input"])
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return f"unknown key{nearest_known(str(location[-1]), keys_at(model, location[:-1]))}"
        case "missing":
            return "this key is missing"
        case "enum" | "literal_error":
            words = re.findall(r"'([\w.-]+)'", context["expected"])
            near = nearest(str(error["input"]), words, cutoff=0.6)
            suggestion = f"; did you mean {near!r}?" if near else ""
            return f"{value} is none of {context['expected']}{suggestion}"
        case "greater_than_equal" | "less_than_equal" | "greater_than" | "less_than":
            sign, bound = next(iter(context.items()))
            return f"{value} is out of range: {_BOUNDS[sign]} {bound:g}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"this is a table: write `[{_table(location)}]` and its keys below"
        case "tuple_type" | "list_type":
            if keys_at(model, (*location, 0)):
                return f"this is a list of tables: write `[[{_table(location)}]]` for each"
            return f"{value} is not a list (which needs square brackets)"
        case "float_type":
            return f"{value} is not a number"
        case "int_type" | "int_from_float":
            return f"{value} is not a whole number"
        case "bool_type":
            return f"{value} is neither true nor false"
        case "string_type":
            return f"{value} is not text (which needs quotes)"
        case "finite_number":
            return f"{value} is not a finite number"
    return error["msg"].removeprefix("Value error, ")


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _VALUE_LIMIT else f"{shown[: _VALUE_LIMIT - 1]}…"


def _table(location: Location) -> str:
    """The name of a table in its header, which has no numbers."""
    return key_name(tuple(part for part in location if isinstance(part, str)))


# ---------------------------------------------------------------- the known keys


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """The known word that is most like this one; "" if none is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)), "")


def nearest_known(word: str, known: Iterable[str]) -> str:
    """`" (nearest known: …)"` with the closest known word, or "" if none is close."""
    close = nearest(word, known)
    return f" (nearest known: {close!r})" if close else ""


def keys_at(model: "type[BaseModel]", location: Location) -> tuple[str, ...]:
    """The keys of the table at a place; none if there is no table of fixed keys."""
    kinds: list[object] = [model]
    for part in location:
        kinds = [member for kind in kinds for member in _inside(kind, part)]
    return tuple(next(filter(None, map(_fields, kinds)), ()))


def _fields(kind: object) -> "dict[str, FieldInfo]":
    return getattr(kind, "model_fields", {})


def _inside(kind: object, part: int | str) -> Iterator[object]:
    """The types that a part of a value of this type may have."""
    arguments = get_args(kind)
    if field := _fields(kind).get(str(part)):
        yield from _members(field.annotation)
    elif get_origin(kind) is dict:
        yield from _members(arguments[1])
    elif isinstance(part, int) and arguments:
        yield from _members(arguments[0])


def _members(kind: object) -> Iterator[object]:
    """The members of a union; else the type itself."""
    if get_origin(kind) is Annotated:
        yield from _members(get_args(kind)[0])
    elif get_origin(kind) in (Union, UnionType):
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind
