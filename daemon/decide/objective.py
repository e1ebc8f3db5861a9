# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload's objective as text: parsed, and written in one canonical way.

    response p99 < 20ms                     a percentile (p50, p99.9 …) or `mean` of response time
    completions                             activations that end in a second
    turnaround mean                         from the fork of a process to its exit
    makespan                                from the first fork of a batch to its last exit
    delay p99                               run-queue delay
    cpu > 150%                              CPU time received, of one CPU
    measurement frame_time lower < 16.7 ms  a number that somebody measures and posts
    response p99; completions not worse than 5%
                                            several: what is to become better, and a guard

`lower` or `higher` may follow the metric; only a measurement needs it. The limit is optional:
without it nothing can be broken, only compared. `latency` is an older word for `delay`,
`throughput` one for `completions`.

An activation is a thread's time from a wakeup to its next sleep, including its waits and
preemptions: for a thread that serves requests, one request. So response time and completions
correspond to a program's own latency and rate. Run-queue delay counts each turn that a task waits
for. A scheduler that lets requests run to their end has longer queues and shorter responses: if the
CPU time of an activation is longer than a slice, delay is misleading.

If terms disagree: a term with `not worse than N%` is a guard, and never a reason to keep. None of
the others may be worse (by more than a change is worth), and at least one has to be better with
confidence. `daemon.decide.verdict` applies this.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NoReturn

from bpf.signals.source import FINEST_US
from daemon.api.display import displayable
from daemon.api.models import Direction, GuardView, ObjectiveView
from process import Fault, FaultType

# Nobody can want more than this at once.
MOST_TERMS = 6


class Metric(StrEnum):
    RESPONSE = "response"
    COMPLETIONS = "completions"
    TURNAROUND = "turnaround"
    MAKESPAN = "makespan"
    DELAY = "delay"
    CPU = "cpu"
    MEASUREMENT = "measurement"


@dataclass(frozen=True, slots=True)
class Term:
    """One figure that counts. `limit` is in `unit`; `quantile` 0 to 1, None for the mean.

    `tolerance` makes it a guard: how much worse it may become, as a fraction.
    """

    text: str
    metric: Metric
    direction: Direction
    unit: str
    quantile: float | None = None
    name: str = ""
    limit: float | None = None
    tolerance: float | None = None

    @property
    def title(self) -> str:
        """The canonical name of the metric, without limit or tolerance."""
        if self.metric in _WITH_QUANTILE:
            return f"{self.metric} {_quantile_name(self.quantile)}"
        if self.metric is Metric.MEASUREMENT:
            return f"measurement {self.name}"
        return str(self.metric)

    @property
    def canonical(self) -> str:
        """The whole term; parsing it gives the same term."""
        said = self.title
        if self.metric is Metric.MEASUREMENT:
            said += " lower" if self.direction is Direction.LOWER else " higher"
        if self.limit is not None:
            sign = "<" if self.direction is Direction.LOWER else ">"
            said += f" {sign} {_limit_text(self)}"
        return said + self._tolerated

    @property
    def named(self) -> str:
        """The title, plus the tolerance if it has one."""
        return self.title + self._tolerated

    @property
    def _tolerated(self) -> str:
        if self.tolerance is None:
            return ""
        return f" not worse than {round(100 * self.tolerance, 6):g}%"

    @property
    def tolerated(self) -> float:
        """How many times worse it may become; 1 without a tolerance."""
        tolerance = self.tolerance or 0.0
        return 1 + tolerance if self.direction is Direction.LOWER else 1 / (1 - tolerance)

    def broken_by(self, value: float) -> bool:
        if self.limit is None:
            return False
        if self.direction is Direction.LOWER:
            return value >= self.limit
        return value <= self.limit

    def worse(self, value: float, reference: float) -> float:
        """How many times worse `value` is than `reference`; 1 is the same, below 1 is better."""
        # If a workload never waited before, one wait does not make it ten thousand times worse.
        least = FINEST_US if self.unit == "us" else 1e-9
        value, reference = max(value, least), max(reference, least)
        return value / reference if self.direction is Direction.LOWER else reference / value


@dataclass(frozen=True, slots=True)
class Objective:
    """What decides a trial.

    The first of the `targets` is the leading one: it is shown if there is room for only one figure.
    """

    text: str
    terms: tuple[Term, ...]

    @property
    def targets(self) -> tuple[Term, ...]:
        """The figures that should become better; at least one."""
        return tuple(term for term in self.terms if term.tolerance is None)

    @property
    def guards(self) -> tuple[Term, ...]:
        """The figures of the same workload that may not become worse."""
        return tuple(term for term in self.terms if term.tolerance is not None)

    @property
    def leading(self) -> Term:
        return self.targets[0]

    @property
    def title(self) -> str:
        """The canonical name of the compared figures, without limits."""
        return "; ".join(term.named for term in self.terms)

    @property
    def canonical(self) -> str:
        """The whole objective; parsing it gives the same one."""
        return "; ".join(term.canonical for term in self.terms)

    @property
    def metric(self) -> Metric:
        return self.leading.metric

    @property
    def direction(self) -> Direction:
        return self.leading.direction

    @property
    def unit(self) -> str:
        return self.leading.unit

    @property
    def quantile(self) -> float | None:
        return self.leading.quantile

    @property
    def limit(self) -> float | None:
        return self.leading.limit

    @property
    def limited(self) -> tuple[Term, ...]:
        """The terms that can be broken."""
        return tuple(term for term in self.targets if term.limit is not None)

    @property
    def measured(self) -> frozenset[str]:
        """The names of the measurements that it needs."""
        return frozenset(term.name for term in self.terms if term.name)

    def has(self, *metrics: Metric) -> bool:
        return any(term.metric in metrics for term in self.terms)

    def broken_by(self, value: float) -> bool:
        return self.leading.broken_by(value)

    def worse(self, value: float, reference: float) -> float:
        """By the leading term: how many times worse `value` is than `reference`."""
        return self.leading.worse(value, reference)

    def with_units(self, units: Mapping[str, str]) -> "Objective":
        """Adds the unit of each measurement that names none, by the measurement's name."""
        return replace(
            self,
            terms=tuple(
                replace(term, unit=units.get(term.name, ""))
                if term.name and not term.unit
                else term
                for term in self.terms
            ),
        )

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
class Guard:
    """Another workload that must not suffer for the objective. `workload` is an id or a glob."""

    workload: str
    term: Term

    @property
    def key(self) -> str:
        """Its name among the figures of a window."""
        return f"{self.workload}: {self.term.title}"

    @property
    def time_key(self) -> str:
        """The name of its workload's CPU time among them."""
        return f"{self.workload}: cpu"

    @property
    def tolerance(self) -> float:
        return self.term.tolerance or 0.0

    def view(self) -> GuardView:
        """The state before anything was measured."""
        return GuardView(workload=self.workload, text=self.term.canonical, unit=self.term.unit)


def guarding(guards: Sequence[Guard]) -> str:
    """The guards beside an objective, for the journal; their workloads are hostile text, escaped
    here."""
    said = " and ".join(f"{displayable(each.workload, 100)} {each.term.named}" for each in guards)
    return f", with {said}" if said else ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A reported number: `value` in `unit`, measured from `started` until `at`."""

    at: float
    name: str
    value: float
    unit: str = ""
    started: float | None = None

    @property
    def began(self) -> float:
        """When the measurement began; for a number without a start time, when it was reported."""
        return self.at if self.started is None else self.started


@dataclass(frozen=True, slots=True)
class Declared:
    """An objective that the operator declared. `workload` is an id, or a glob over ids."""

    workload: str
    objective: Objective

    def of(self, ids: Iterable[str]) -> list[str]:
        """The workloads it applies to: existing ones that match, or the one that it names."""
        if not is_glob(self.workload):
            return [self.workload]
        return [each for each in ids if fnmatchcase(each, self.workload)]


def meant(workload: str, id: str) -> bool:
    """Whether an id is the one that is named, or matches the glob."""
    return id == workload or (is_glob(workload) and fnmatchcase(id, workload))


def is_glob(workload: str) -> bool:
    return any(sign in workload for sign in "*?[")


# ---------------------------------------------------------------- reading the text

_TOKEN = re.compile(r"\s*(?:([<>]=?)|([0-9]+(?:\.[0-9]+)?)|([A-Za-zµ%/_][\w.%/µ-]*))")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,60}")
_TO_US = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_LONG_TO_US = {**_TO_US, "min": 60e6, "h": 3600e6}
_DIRECTIONS = {"lower": Direction.LOWER, "higher": Direction.HIGHER}
# Older words, which files and people still use.
_ALIASES = {"latency": Metric.DELAY, "throughput": Metric.COMPLETIONS}
_WORDS = {**{str(metric): metric for metric in Metric}, **_ALIASES}
_WITH_QUANTILE = (Metric.RESPONSE, Metric.TURNAROUND, Metric.DELAY)
_HIGHER = (Metric.COMPLETIONS, Metric.CPU)
# For each metric: the unit, the units that a limit may have with their factors, and one for an
# example.
_UNITS: dict[Metric, tuple[str, dict[str, float], str]] = {
    Metric.RESPONSE: ("us", _TO_US, "ms"),
    Metric.DELAY: ("us", _TO_US, "ms"),
    Metric.TURNAROUND: ("us", _LONG_TO_US, "s"),
    Metric.MAKESPAN: ("us", _LONG_TO_US, "s"),
    Metric.COMPLETIONS: ("1/s", {"/s": 1.0}, "/s"),
    Metric.CPU: ("%", {"%": 1.0}, "%"),
}
_EXAMPLES = (
    "an example of each: `response p99 < 20ms`, `completions`, `turnaround mean`, `makespan`, "
    "`delay p99`, `cpu > 150%`, `measurement requests higher`, "
    "`response p99; completions not worse than 5%`"
)


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    column: int


class _TermReader:
    """The tokens of one term, and the position of the parser."""

    def __init__(self, text: str, begin: int, end: int, type: FaultType) -> None:
        self.text = text
        self.term = text[begin:end].strip()
        self.type = type
        self.end = end
        self.tokens: list[_Token] = []
        self.next = 0
        position = begin
        while text[position:end].strip():
            match = _TOKEN.match(text, position, end)
            if match is None:
                column = position + len(text[position:end]) - len(text[position:end].lstrip()) + 1
                self.fail(column, f"{text[column - 1]!r} means nothing here", "words and numbers")
            token = next(group for group in match.groups() if group)
            self.tokens.append(_Token(token, match.end() - len(token) + 1))
            position = match.end()

    def peek(self) -> _Token:
        if self.next < len(self.tokens):
            return self.tokens[self.next]
        return _Token("", self.end + 1)

    def take(self) -> _Token:
        token = self.peek()
        self.next += 1
        return token

    def fail(
        self,
        column: int,
        what: str,
        expected: str,
        wrong: str = "",
        known: Sequence[str] = (),
        hint: str = "",
    ) -> NoReturn:
        near = difflib.get_close_matches(wrong.lower(), known, n=1) if wrong else []
        raise Fault(
            self.type,
            f"the objective {self.text!r} cannot be understood",
            where=f"column {column}",
            why=f"{what}; expected {expected}",
            hint=f"did you mean {near[0]!r}?" if near else hint or _EXAMPLES,
            details=(self.text, " " * (column - 1) + "^"),
        )

    def refuse(self, token: _Token, expected: str, known: Sequence[str] = ()) -> NoReturn:
        ends = "the text ends here" if self.end >= len(self.text) else "the term ends here"
        found = f"found {token.text!r}" if token.text else ends
        self.fail(token.column, found, expected, token.text, known)


def parse_objective(text: str, type: FaultType = FaultType.BAD_PARAMETER) -> Objective:
    """Read objective text.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    terms: list[Term] = []
    begin = 0
    for part in text.split(";"):
        end = begin + len(part)
        reader = _TermReader(text, begin, end, type)
        # A `;` at the end ends the last term and begins none.
        if reader.tokens or not terms or end < len(text):
            term = _term(reader)
            if any(term.title == each.title for each in terms):
                column = reader.tokens[0].column
                reader.fail(column, f"{term.title!r} stands here twice", "each figure once")
            if len(terms) == MOST_TERMS:
                column = reader.tokens[0].column
                reader.fail(column, "this is one term too many", f"{MOST_TERMS} at most")
            terms.append(term)
        begin = end + 1
    if all(term.tolerance is not None for term in terms):
        reader.fail(
            len(text) + 1,
            "nothing is to become better, `not worse than` only guards",
            "a term without it",
            hint=f"write for example `{_target_for(terms[0])}; {text.strip()}`",
        )
    return Objective(text, tuple(terms))


def parse_guard(workload: str, text: str, type: FaultType = FaultType.BAD_PARAMETER) -> Guard:
    """Parse the guarded figure of another workload: one term with `not worse than N%`.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    reader = _TermReader(text, 0, len(text.split(";")[0]), type)
    term = _term(reader)
    rest = text[len(text.split(";")[0]) :].strip("; ")
    if rest:
        reader.fail(reader.end + 1, "a guard is one term", "one guard for each figure")
    if term.tolerance is None:
        reader.fail(
            len(text) + 1,
            "it does not say how much worse it may become",
            "`not worse than N%`",
            hint=f"write for example `{text.strip()} not worse than 20%`"
            if term.limit is None
            else f"write for example `{term.title} not worse than 20%`",
        )
    return Guard(workload, term)


def _target_for(guard: Term) -> str:
    return "completions" if guard.metric is Metric.RESPONSE else "response p99"


def _term(reader: _TermReader) -> Term:
    word = reader.take()
    metric = _WORDS.get(word.text)
    if metric is None:
        known = ", ".join(f"`{each}`" for each in Metric)
        reader.refuse(word, known, tuple(_WORDS))
    if metric is Metric.MEASUREMENT:
        return _measurement(reader)
    fraction = _fraction(reader) if metric in _WITH_QUANTILE else None
    direction = Direction.HIGHER if metric in _HIGHER else Direction.LOWER
    _way(reader, direction)
    unit, units, usual = _UNITS[metric]
    tolerance = _tolerance(reader, direction)
    limit = _limit(reader, direction, units, usual) if tolerance is None else None
    _over(reader)
    return Term(
        reader.term,
        metric,
        direction,
        unit,
        quantile=fraction,
        limit=limit and limit[0],
        tolerance=tolerance,
    )


def _fraction(reader: _TermReader) -> float | None:
    token = reader.take()
    wanted = "a percentile such as `p50`, `p99` or `p99.9`, or `mean`"
    if token.text == "mean":
        return None
    match = _QUANTILE.fullmatch(token.text)
    if match is None:
        reader.refuse(token, wanted, ("p50", "p90", "p95", "p99", "p99.9", "mean"))
    fraction = float(match[1]) / 100
    if not 0 < fraction < 1:
        reader.fail(token.column, f"{token.text!r} is not between p0 and p100", wanted)
    return fraction


def _way(reader: _TermReader, usual: Direction) -> None:
    """`lower` or `higher`, which may be left out, but not be the wrong one."""
    word = reader.peek()
    if word.text not in _DIRECTIONS:
        return
    reader.take()
    if _DIRECTIONS[word.text] is not usual:
        better = "lower" if usual is Direction.LOWER else "higher"
        reader.fail(word.column, f"found {word.text!r}, yet {better} is better", f"`{better}`")


def _measurement(reader: _TermReader) -> Term:
    name = reader.take()
    if not _NAME.fullmatch(name.text):
        reader.refuse(name, "the measurement's name (a-z, then a-z, 0-9, `_`, `.` and `-`)")
    word = reader.take()
    if word.text not in _DIRECTIONS:
        reader.refuse(word, "`lower` or `higher`, whichever is better", tuple(_DIRECTIONS))
    direction = _DIRECTIONS[word.text]
    tolerance = _tolerance(reader, direction)
    limit = _limit(reader, direction, None, "") if tolerance is None else None
    _over(reader)
    return Term(
        reader.term,
        Metric.MEASUREMENT,
        direction,
        limit[1] if limit else "",
        name=name.text,
        limit=limit and limit[0],
        tolerance=tolerance,
    )


def _tolerance(reader: _TermReader, direction: Direction) -> float | None:
    """`not worse than 5%`, as a fraction; None if it is not here."""
    if reader.peek().text != "not":
        return None
    reader.take()
    for wanted in ("worse", "than"):
        word = reader.take()
        if word.text != wanted:
            reader.refuse(word, f"`{wanted}`, as in `not worse than 5%`", (wanted,))
    number = reader.take()
    try:
        value = float(number.text)
    except ValueError:
        reader.refuse(number, "a number, as in `not worse than 5%`")
    most = 1000 if direction is Direction.LOWER else 99
    if not 0 < value <= most:
        reader.fail(number.column, f"{number.text}% cannot be tolerated", f"1% to {most}%")
    sign = reader.take()
    if sign.text != "%":
        reader.refuse(sign, f"`%`, as in `not worse than {number.text}%`", ("%",))
    return value / 100


def _over(reader: _TermReader) -> None:
    token = reader.peek()
    if token.text:
        reader.fail(
            token.column,
            f"{token.text!r} is left over",
            "the end of the objective, or `;` and another term",
        )


def _limit(
    reader: _TermReader, direction: Direction, units: dict[str, float] | None, usual: str
) -> tuple[float, str] | None:
    """`< 5ms`: the limit in the base unit, and the unit as written; None without one.

    `units` are the allowed ones with their factors; None takes any or none.
    """
    if not reader.peek().text:
        return None
    sign = reader.take()
    right = "<" if direction is Direction.LOWER else ">"
    if sign.text.rstrip("=") != right:
        if sign.text[:1] in ("<", ">"):
            better = "lower" if direction is Direction.LOWER else "higher"
            reader.fail(sign.column, f"{sign.text!r}, yet {better} is better", f"{right!r}")
        reader.refuse(
            sign,
            f"{right!r} and a limit, `not worse than N%`, or the end",
            (*_DIRECTIONS, "not", *_WORDS),
        )
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


def _limit_text(term: Term) -> str:
    """A limit as people write it: `20ms` and not `20000us`. Parsing it gives the same number."""
    limit, unit = term.limit or 0.0, term.unit
    # The reporter of the measurement chooses its unit.
    if unit == "us" and term.metric is not Metric.MEASUREMENT:
        for longer in ("s", "ms"):
            text = f"{limit / _TO_US[longer]:.12g}"
            if limit >= _TO_US[longer] and float(text) * _TO_US[longer] == limit:
                return text + longer
    return f"{limit:.12g}{'/s' if unit == '1/s' else unit}"


def _quantile_name(fraction: float | None) -> str:
    return "mean" if fraction is None else f"p{round(fraction * 100, 3):g}"
