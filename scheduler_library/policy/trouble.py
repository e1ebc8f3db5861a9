# SPDX-License-Identifier: GPL-2.0-or-later
"""Problems of a policy: the column, what was expected, and what to do."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from process import Fault, FaultType

# A line is shown only around the place of the problem.
SHOWN_BEFORE = 60
SHOWN_AFTER = 40


class PolicyRefusal(Fault):
    """A policy is refused; `at` is the offset of the place."""

    def __init__(
        self, what: str, *, where: str, why: str, hint: str, details: tuple[str, ...], at: int
    ) -> None:
        super().__init__(
            FaultType.BAD_POLICY, what, where=where, why=why, hint=hint, details=details
        )
        self.at = at


class Severity(StrEnum):
    """How sure it is that something is a mistake."""

    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class SourcePlace:
    """The place: `where` in words, `shown` the line and a caret."""

    line: int
    column: int
    where: str
    shown: tuple[str, str]


@dataclass(frozen=True)
class Doubt:
    """A part of a policy that has no effect or is probably a mistake. It is compiled nevertheless.

    `line` and `column` count from 1; `why` is the fact, `hint` what to write.
    """

    severity: Severity
    line: int
    column: int
    where: str
    what: str
    why: str
    hint: str
    shown: tuple[str, str]

    def message(self) -> dict[str, str | int]:
        """The fields of a gate's message, as the daemon's API has them."""
        return {
            "severity": str(self.severity),
            "message": self.what,
            "line": self.line,
            "column": self.column,
            "cause": self.why,
            "fix": self.hint,
        }

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}: {self.why}"

    def report(self) -> str:
        """The doubt for a terminal, in the form of a fault's report."""
        lines = [str(self), *(f"  | {line}" for line in self.shown), f"hint: {self.hint}"]
        return "\n".join(lines)


def refuse(text: str, at: int, what: str, *, expected: str = "", hint: str) -> PolicyRefusal:
    """The fault for the place `at` (an offset) of a policy.

    `where` is the column (and the line, if there are several), `why` what was expected, `details`
    the line with a caret below the place.
    """
    place = place_of(text, at)
    return PolicyRefusal(
        what,
        where=place.where,
        why=f"expected {expected}" if expected else "",
        hint=hint,
        details=place.shown,
        at=at,
    )


def doubt(text: str, at: int, what: str, *, why: str, hint: str, certain: bool = True) -> Doubt:
    """A doubt about the accepted text at the offset `at`; only a note if it may well be meant."""
    place = place_of(text, at)
    severity = Severity.WARNING if certain else Severity.NOTE
    return Doubt(severity, place.line, place.column, place.where, what, why, hint, place.shown)


def place_of(text: str, at: int) -> SourcePlace:
    """Line and column of an offset, both from 1, and the line with a caret below the place."""
    at = max(0, min(at, len(text)))
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[start : end if end >= 0 else len(text)]
    column = at - start
    place = f"column {column + 1}"
    if "\n" in text.strip():
        place = f"line {text.count(chr(10), 0, at) + 1}, {place}"
    first = max(0, column - SHOWN_BEFORE)
    shown = line[first : column + SHOWN_AFTER]
    # One printable character for each, so that the caret is in the right place.
    shown = "".join(each if each.isascii() and each.isprintable() else "?" for each in shown)
    number = text.count("\n", 0, at) + 1
    return SourcePlace(number, column + 1, place, (shown, " " * (column - first) + "^"))


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'X'?` with the nearest known word, or else `otherwise`."""
    words = sorted(known)
    close = [word.lower()] if word.lower() in words else []
    close = close or difflib.get_close_matches(word.lower(), words, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else otherwise


def listing(words: Iterable[str]) -> str:
    """`a, b or c`."""
    all_words = list(words)
    if len(all_words) < 2:
        return "".join(all_words)
    return f"{', '.join(all_words[:-1])} or {all_words[-1]}"
