# SPDX-License-Identifier: GPL-2.0-only
"""What a workload is to be good at, in one line of text, and its value in a window.

    latency p99 < 5ms            a percentile (p50, p99, p99.9 …) or `mean` of run-queue delay
    throughput                   completed sleeps per second
    cpu > 150%                   CPU time received, of one CPU
    measurement requests higher  a number that somebody measures and posts
    measurement frame_time lower < 16.7 ms

The limit may be left out: then there is nothing to break, only something to compare.

`throughput` is a proxy. A thread that serves requests sleeps once for each request (or each
batch of them), so its completed sleeps rise and fall with the work it finishes; a thread that
never sleeps has none, and `cpu` is the honest word for it. A scheduler that changes how many
requests share one wakeup changes the proxy and not the work: where the application can count
its own work, `measurement` is better than either.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NoReturn

from daemon.api.models import Direction, ObjectiveView
from daemon.decide.histogram import merged, quantile, total
from daemon.decide.observation import Observation, WorkloadObservation
from process import Fault, FaultType


class Metric(StrEnum):
    LATENCY = "latency"
    THROUGHPUT = "throughput"
    CPU = "cpu"
    MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True)
class Objective:
    """Parsed objective text. `limit` is in `unit`; `quantile` 0 to 1, None for the mean."""

    text: str
    metric: Metric
    direction: Direction
    unit: str
    quantile: float | None = None
    name: str = ""
    limit: float | None = None

    @property
    def title(self) -> str:
        """The canonical name of what is measured, without the limit."""
        if self.metric is Metric.LATENCY:
            return f"latency {_quantile_name(self.quantile)}"
        if self.metric is Metric.MEASUREMENT:
            return f"measurement {self.name}"
        return str(self.metric)

    def broken_by(self, value: float) -> bool:
        if self.limit is None:
            return False
        if self.direction is Direction.LOWER:
            return value >= self.limit
        return value <= self.limit

    def worse(self, value: float, reference: float) -> float:
        """How many times worse `value` is than `reference`; 1 is the same, below 1 is better."""
        value, reference = max(value, 1e-9), max(reference, 1e-9)
        return value / reference if self.direction is Direction.LOWER else reference / value

    def view(self, workload: str, value: float | None, broken: bool) -> ObjectiveView:
        return ObjectiveView(
            workload=workload,
            text=self.text,
            metric=self.title,
            direction=self.direction,
            limit=self.limit,
            unit=self.unit,
            value=value,
            broken=broken,
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """A number that was posted: `value` in `unit`, measured from `started` until `at`."""

    at: float
    name: str
    value: float
    unit: str = ""
    started: float | None = None

    @property
    def began(self) -> float:
        """When what was measured began; of a number without a beginning, when it was posted."""
        return self.at if self.started is None else self.started


@dataclass(frozen=True, slots=True)
class Value:
    """An objective's value in its unit, and from how many samples."""

    value: float
    samples: int


# ---------------------------------------------------------------- reading the text

_TOKEN = re.compile(r"\s*(?:([<>]=?)|([0-9]+(?:\.[0-9]+)?)|([A-Za-zµ%/_][\w.%/µ-]*))")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,60}")
_TO_US = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_DIRECTIONS = {"lower": Direction.LOWER, "higher": Direction.HIGHER}
_WORDS = ("latency", "throughput", "cpu", "measurement")


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int


class _Reader:
    """The tokens of one objective, and where one is while reading them."""

    def __init__(self, text: str, type: FaultType) -> None:
        self.text = text
        self.type = type
        self.tokens: list[_Token] = []
        self.next = 0
        position = 0
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                column = position + len(text[position:]) - len(text[position:].lstrip()) + 1
                self.fail(column, f"{text[column - 1]!r} means nothing here", "words and numbers")
            token = next(group for group in match.groups() if group)
            self.tokens.append(_Token(token, match.end() - len(token) + 1))
            position = match.end()

    def peek(self) -> _Token:
        if self.next < len(self.tokens):
            return self.tokens[self.next]
        return _Token("", len(self.text) + 1)

    def take(self) -> _Token:
        token = self.peek()
        self.next += 1
        return token

    def fail(
        self, column: int, what: str, expected: str, wrong: str = "", known: Sequence[str] = ()
    ) -> NoReturn:
        near = difflib.get_close_matches(wrong.lower(), known, n=1) if wrong else []
        raise Fault(
            self.type,
            f"the objective {self.text!r} cannot be understood",
            where=f"column {column}",
            why=f"{what}; expected {expected}",
            hint=f"did you mean {near[0]!r}?"
            if near
            else "an example of each: `latency p99 < 5ms`, `throughput`, `cpu > 150%`, "
            "`measurement requests higher`",
            details=(self.text, " " * (column - 1) + "^"),
        )

    def refuse(self, token: _Token, expected: str, known: Sequence[str] = ()) -> NoReturn:
        found = f"found {token.text!r}" if token.text else "the text ends here"
        self.fail(token.column, found, expected, token.text, known)


def parse_objective(text: str, type: FaultType = FaultType.BAD_PARAMETER) -> Objective:
    """Read objective text.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    reader = _Reader(text, type)
    word = reader.take()
    match word.text:
        case "latency":
            objective = _latency(reader)
        case "throughput":
            limit = _limit(reader, Direction.HIGHER, {"/s": 1.0}, "/s")
            objective = Objective(
                text, Metric.THROUGHPUT, Direction.HIGHER, "1/s", limit=limit and limit[0]
            )
        case "cpu":
            limit = _limit(reader, Direction.HIGHER, {"%": 1.0}, "%")
            objective = Objective(text, Metric.CPU, Direction.HIGHER, "%", limit=limit and limit[0])
        case "measurement":
            objective = _measurement(reader)
        case _:
            reader.refuse(word, "`latency`, `throughput`, `cpu` or `measurement`", _WORDS)
    if reader.peek().text:
        token = reader.peek()
        reader.fail(token.column, f"{token.text!r} is left over", "the end of the objective")
    return objective


def _latency(reader: _Reader) -> Objective:
    token = reader.take()
    wanted = "a percentile such as `p50`, `p99` or `p99.9`, or `mean`"
    fraction: float | None
    if token.text == "mean":
        fraction = None
    elif match := _QUANTILE.fullmatch(token.text):
        fraction = float(match[1]) / 100
        if not 0 < fraction < 1:
            reader.fail(token.column, f"{token.text!r} is not between p0 and p100", wanted)
    else:
        reader.refuse(token, wanted, ("p50", "p90", "p95", "p99", "p99.9", "mean"))
    limit = _limit(reader, Direction.LOWER, _TO_US, "ms")
    return Objective(
        reader.text,
        Metric.LATENCY,
        Direction.LOWER,
        "us",
        quantile=fraction,
        limit=limit and limit[0],
    )


def _measurement(reader: _Reader) -> Objective:
    name = reader.take()
    if not _NAME.fullmatch(name.text):
        reader.refuse(name, "the measurement's name (a-z, then a-z, 0-9, `_`, `.` and `-`)")
    word = reader.take()
    if word.text not in _DIRECTIONS:
        reader.refuse(word, "`lower` or `higher`, whichever is better", tuple(_DIRECTIONS))
    direction = _DIRECTIONS[word.text]
    limit = _limit(reader, direction, None, "")
    return Objective(
        reader.text,
        Metric.MEASUREMENT,
        direction,
        limit[1] if limit else "",
        name=name.text,
        limit=limit and limit[0],
    )


def _limit(
    reader: _Reader, direction: Direction, units: dict[str, float] | None, usual: str
) -> tuple[float, str] | None:
    """`< 5ms`: the limit in the base unit, and the unit as written; None without one.

    `units` are those allowed with their factors; None takes any or none.
    """
    if not reader.peek().text:
        return None
    sign = reader.take()
    right = "<" if direction is Direction.LOWER else ">"
    if sign.text.rstrip("=") != right:
        if sign.text[:1] in ("<", ">"):
            better = "lower" if direction is Direction.LOWER else "higher"
            reader.fail(sign.column, f"{sign.text!r}, yet {better} is better", f"{right!r}")
        reader.refuse(sign, f"{right!r} and a limit, or the end")
    number = reader.take()
    try:
        value = float(number.text)
    except ValueError:
        reader.refuse(number, "a number")
    if value <= 0:
        reader.fail(number.column, f"the limit is {number.text}", "a number above 0")
    unit = reader.peek()
    if units is None:
        if unit.text:
            reader.take()
        return value, unit.text
    if unit.text not in units:
        known = ", ".join(f"`{each}`" for each in units)
        reader.refuse(unit, f"a unit ({known}), as in `{right} {number.text}{usual}`", tuple(units))
    reader.take()
    return value * units[unit.text], unit.text


def _quantile_name(fraction: float | None) -> str:
    return "mean" if fraction is None else f"p{round(fraction * 100, 3):g}"


# What is compared when nothing was declared.
DEFAULT_OBJECTIVE = parse_objective("latency p99")


# ---------------------------------------------------------------- its value


def value_of(
    objective: Objective,
    workload: str,
    observations: Iterable[Observation],
    measurements: Iterable[Measurement] = (),
) -> Value | None:
    """The objective's value over a window, or None where the window says nothing of it.

    `workload` "" is all workloads together. Percentiles are of the merged histograms.
    Measurements are the median of those given; the caller gives those of the window.
    """
    if objective.metric is Metric.MEASUREMENT:
        values = sorted(each.value for each in measurements if each.name == objective.name)
        if not values:
            return None
        middle = len(values) // 2
        median = values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2
        return Value(median, len(values))
    seen = list(observations)
    parts = [
        (observation.interval_s, part)
        for observation in seen
        for part in _parts(observation, workload)
    ]
    if not parts:
        return None
    if objective.metric is Metric.LATENCY:
        return _delay(objective.quantile, [part for _, part in parts])
    span = sum(observation.interval_s for observation in seen)
    if objective.metric is Metric.THROUGHPUT:
        wakeups = sum(seconds * part.wakeups_per_s for seconds, part in parts)
        return Value(wakeups / span, round(wakeups))
    time = sum(seconds * part.run_share for seconds, part in parts)
    return Value(100 * time / span, sum(part.slice_count for _, part in parts))


def _parts(observation: Observation, workload: str) -> list[WorkloadObservation]:
    if not workload:
        return list(observation.workloads.values())
    part = observation.workloads.get(workload)
    return [part] if part else []


def _delay(fraction: float | None, parts: Sequence[WorkloadObservation]) -> Value | None:
    if fraction is None:
        count = sum(part.delay_count for part in parts)
        if not count:
            return None
        return Value(sum(part.delay_mean_us * part.delay_count for part in parts) / count, count)
    histogram = merged(part.delay_hist for part in parts)
    count = total(histogram)
    longest = max(part.delay_max_us for part in parts)
    return Value(quantile(histogram, fraction, longest), count) if count else None


@dataclass(frozen=True, slots=True)
class Declared:
    """An objective that the operator declared. `workload` is an id, or a glob over ids."""

    workload: str
    objective: Objective

    def of(self, ids: Iterable[str]) -> list[str]:
        """The workloads it is for: those present that match, or the one that it names."""
        if not any(sign in self.workload for sign in "*?["):
            return [self.workload]
        return [each for each in ids if fnmatchcase(each, self.workload)]
