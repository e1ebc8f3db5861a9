# SPDX-License-Identifier: GPL-2.0-or-later
"""The text of an objective: one grammar for measured and for simulated workloads. Pure.

    response p99 < 20ms                     a percentile (p50, p99.9 …) or `mean` of response time
    completions                             activations that end in a second
    turnaround mean                         from the fork of a process to its exit
    makespan                                from the first fork of a batch to its last exit
    delay p99                               run-queue delay
    cpu > 150%                              CPU time received, of one CPU
    measurement frame_time lower < 16.7 ms  a number that somebody measures and posts
    response p99; completions not worse than 5%
                                            several: what is to become better, and a guard

`lower` or `higher` may follow the metric; only a measurement needs it. The limit is optional.
`latency` is an older word for `delay`, `throughput` one for `completions`.

What a word measures depends on who reads it: `daemon.decide.objective` has the definitions for a
running machine, `simulator.simulated_objective` those for a simulation.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

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
class WrittenTerm:
    """One term as it is written. `higher`: more of it is better; `limit` is in `unit`.

    `quantile` is 0 to 1, None for the mean. `name` is a measurement's. `tolerance` makes it a
    guard: how much worse it may become, as a fraction.
    """

    text: str
    metric: Metric
    higher: bool
    unit: str
    quantile: float | None = None
    name: str = ""
    limit: float | None = None
    tolerance: float | None = None

    @property
    def title(self) -> str:
        return title_of(self.metric, self.quantile, self.name)


def title_of(metric: Metric, quantile: float | None, name: str) -> str:
    """The canonical name of a metric, without limit or tolerance."""
    if metric in WITH_QUANTILE:
        return f"{metric} {_quantile_name(quantile)}"
    return f"measurement {name}" if metric is Metric.MEASUREMENT else str(metric)


def _quantile_name(fraction: float | None) -> str:
    return "mean" if fraction is None else f"p{round(fraction * 100, 3):g}"


_TOKEN = re.compile(r"\s*(?:([<>]=?)|([0-9]+(?:\.[0-9]+)?)|([A-Za-zµ%/_][\w.%/µ-]*))")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9]{1,3})?)")
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,60}")
TO_US = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "ms": 1e3, "s": 1e6}
_LONG_TO_US = {**TO_US, "min": 60e6, "h": 3600e6}
_HIGHER_IS = {"lower": False, "higher": True}
# Older words, which files and people still use.
_ALIASES = {"latency": Metric.DELAY, "throughput": Metric.COMPLETIONS}
_WORDS = {**{str(metric): metric for metric in Metric}, **_ALIASES}
WITH_QUANTILE = (Metric.RESPONSE, Metric.TURNAROUND, Metric.DELAY)
_MORE_IS_BETTER = (Metric.COMPLETIONS, Metric.CPU)
# For each metric: the unit, the units that a limit may have with their factors, and one for an
# example.
_UNITS: dict[Metric, tuple[str, dict[str, float], str]] = {
    Metric.RESPONSE: ("us", TO_US, "ms"),
    Metric.DELAY: ("us", TO_US, "ms"),
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


def parse_terms(text: str, type: FaultType = FaultType.BAD_PARAMETER) -> tuple[WrittenTerm, ...]:
    """The terms of an objective, of which at least one is no guard.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    terms: list[WrittenTerm] = []
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
    return tuple(terms)


def parse_guard_term(text: str, type: FaultType = FaultType.BAD_PARAMETER) -> WrittenTerm:
    """One term with `not worse than N%`.

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
    return term


def _target_for(guard: WrittenTerm) -> str:
    return "completions" if guard.metric is Metric.RESPONSE else "response p99"


def _term(reader: _TermReader) -> WrittenTerm:
    word = reader.take()
    metric = _WORDS.get(word.text)
    if metric is None:
        known = ", ".join(f"`{each}`" for each in Metric)
        reader.refuse(word, known, tuple(_WORDS))
    if metric is Metric.MEASUREMENT:
        return _measurement(reader)
    fraction = _fraction(reader) if metric in WITH_QUANTILE else None
    higher = metric in _MORE_IS_BETTER
    _way(reader, higher)
    unit, units, usual = _UNITS[metric]
    tolerance = _tolerance(reader, higher)
    limit = _limit(reader, higher, units, usual) if tolerance is None else None
    _over(reader)
    return WrittenTerm(
        reader.term,
        metric,
        higher,
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


def _way(reader: _TermReader, usual: bool) -> None:
    """`lower` or `higher`, which may be left out, but not be the wrong one."""
    word = reader.peek()
    if word.text not in _HIGHER_IS:
        return
    reader.take()
    if _HIGHER_IS[word.text] is not usual:
        better = "higher" if usual else "lower"
        reader.fail(word.column, f"found {word.text!r}, yet {better} is better", f"`{better}`")


def _measurement(reader: _TermReader) -> WrittenTerm:
    name = reader.take()
    if not _NAME.fullmatch(name.text):
        reader.refuse(name, "the measurement's name (a-z, then a-z, 0-9, `_`, `.` and `-`)")
    word = reader.take()
    if word.text not in _HIGHER_IS:
        reader.refuse(word, "`lower` or `higher`, whichever is better", tuple(_HIGHER_IS))
    higher = _HIGHER_IS[word.text]
    tolerance = _tolerance(reader, higher)
    limit = _limit(reader, higher, None, "") if tolerance is None else None
    _over(reader)
    return WrittenTerm(
        reader.term,
        Metric.MEASUREMENT,
        higher,
        limit[1] if limit else "",
        name=name.text,
        limit=limit and limit[0],
        tolerance=tolerance,
    )


def _tolerance(reader: _TermReader, higher: bool) -> float | None:
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
    most = 99 if higher else 1000
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
    reader: _TermReader, higher: bool, units: dict[str, float] | None, usual: str
) -> tuple[float, str] | None:
    """`< 5ms`: the limit in the base unit, and the unit as written; None without one.

    `units` are the allowed ones with their factors; None takes any or none.
    """
    if not reader.peek().text:
        return None
    sign = reader.take()
    right = ">" if higher else "<"
    if sign.text.rstrip("=") != right:
        if sign.text[:1] in ("<", ">"):
            better = "higher" if higher else "lower"
            reader.fail(sign.column, f"{sign.text!r}, yet {better} is better", f"{right!r}")
        reader.refuse(
            sign,
            f"{right!r} and a limit, `not worse than N%`, or the end",
            (*_HIGHER_IS, "not", *_WORDS),
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
