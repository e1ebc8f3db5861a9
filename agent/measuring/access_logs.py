# SPDX-License-Identifier: GPL-2.0-or-later
"""Durations of requests, from the access logs of nginx and HAProxy; all in milliseconds.

nginx = { log = "/var/log/nginx/access.log" }
haproxy = { unit = "haproxy.service", timer = "Ta" }
"""

import json
import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from agent.measuring.journal import PatternText
from agent.measuring.lines import Parse
from agent.measuring.pattern import LINE_LIMIT, Pattern
from agent.measuring.table import Lines

UNIT = "ms"


class Nginx(Lines):
    """`$request_time`, seconds.

    `pattern`, with the number as its one group, or `field` gives its place; fields are separated by
    white space outside quotes, the first is 1 and the last -1. Without both: `rt=0.012` or
    `request_time=0.012` outside quotes, `"request_time"` of JSON, else the last field.
    """

    pattern: PatternText | None = None
    field: Annotated[int, Field(ge=-64, le=64)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.pattern is not None and self.field is not None:
            raise ValueError("`pattern` and `field` say the same in two ways: leave one out")
        if self.field == 0:
            raise ValueError("the first `field` is 1, the last is -1")
        return self


class Timer(StrEnum):
    """The times of HAProxy's httplog (its configuration manual, 8.2.3), milliseconds.

    `TR`: until the whole request had arrived; `Tw`: in the queue; `Tc`: connecting to the server;
    `Tr`: until the server began to answer; `Ta`: the total, from the first byte of the request.
    """

    TR = "TR"
    TW = "Tw"
    TC = "Tc"
    SERVER = "Tr"
    ALL = "Ta"


class HAProxy(Lines):
    """A timer of the default `option httplog`. Aborted requests (−1) do not count."""

    timer: Annotated[Timer, Field(strict=False)] = Timer.ALL


_KEYS = ("request_time", "rt")
# A field: `key="…"`, `"…"`, `[…]`, or text without white space. Clients' text is inside quotes, in
# which nginx writes a quote as \x22.
_FIELD = re.compile(r'(?:([A-Za-z_]{1,32})[=:])?("[^"]*"|\[[^\]]*\]|[^\s"]+)')
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
# nginx's format of times.
_MILLISECONDS = re.compile(r"[0-9]{1,9}\.[0-9]{3}")
# TR/Tw/Tc/Tr/Ta, the status, the bytes; a `+` if the log was written before the end.
_HTTPLOG = re.compile(
    r" (-?[0-9]{1,10})/(-?[0-9]{1,10})/(-?[0-9]{1,10})/(-?[0-9]{1,10})/\+?(-?[0-9]{1,10})"
    r" -?[0-9]{1,3} \+?[0-9]{1,20} "
)


def nginx(table: Nginx) -> Parse:
    """Finds the milliseconds in an nginx log line."""
    if table.pattern is not None:
        own = Pattern(table.pattern)
        return lambda line: _ms(own.number(line))
    if table.field is not None:
        place = table.field - (table.field > 0)
        return lambda line: _ms(_field(line, place))
    return lambda line: _ms(_usual(line))


def _ms(seconds: float | None) -> float | None:
    # Rounded: 0.29 s is 290 ms, and not 289.99999999999994.
    return None if seconds is None or seconds < 0 else round(seconds * 1000, 6)


def _fields(line: str) -> list[tuple[str, str]]:
    """The fields of a line, each with its key, which may be empty."""
    return [(each[1] or "", each[2]) for each in _FIELD.finditer(line[:LINE_LIMIT])]


def _field(line: str, place: int) -> float | None:
    fields = _fields(line)
    if not -len(fields) <= place < len(fields):
        return None
    word = fields[place][1].strip('"[](),;')
    return float(word) if _SECONDS.fullmatch(word) else None


def _usual(line: str) -> float | None:
    """By its key, in JSON or not, else the last field, if it has three decimals."""
    if line.startswith("{"):
        return _of_json(line)
    fields = _fields(line)
    for key, text in fields:
        word = text.strip('"')
        if key in _KEYS and _SECONDS.fullmatch(word):
            return float(word)
    last = fields[-1] if fields else ("", "")
    word = last[1].strip('"')
    return float(word) if not last[0] and _MILLISECONDS.fullmatch(word) else None


def _of_json(line: str) -> float | None:
    try:
        entry = json.loads(line)
        value = next((entry[key] for key in _KEYS if key in entry), None)
        return float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError, RecursionError):
        return None


def haproxy(table: HAProxy) -> Parse:
    """Finds the milliseconds of one timer in a HAProxy log line."""
    group = list(Timer).index(table.timer) + 1

    def parse(line: str) -> float | None:
        # Text from the client, headers and the request, comes after them in the line.
        found = _HTTPLOG.search(line[:LINE_LIMIT])
        if found is None:
            return None
        value = int(found[group])
        return float(value) if value >= 0 else None

    return parse
