# SPDX-License-Identifier: GPL-2.0-or-later
"""A user's pattern with one number in it, searched in lines that anybody may have written.

A backtracking engine such as Python's `re` takes hours for a line made to slow it down. So Rust's
`regex` compiles the pattern, which needs time in proportion to the line, whatever both are; it
comes with pydantic, which checks everything here. It only says whether there is a match. So each
number of the line is tried: it must match the one group, and with a mark in its place the line must
match the pattern with the same mark in place of the group.

The syntax is that of https://docs.rs/regex: no look-around, no back-references.
"""

import math
import re
from collections.abc import Iterator

from pydantic_core import SchemaError, SchemaValidator, core_schema

# How many characters of a line are searched, and how many numbers in it are tried.
LINE_LIMIT = 4096
MOST_NUMBERS = 64
PATTERN_LIMIT = 500
# The mark: a digit, so that `\b` beside it means the same, and one that no line contains (it is
# removed from lines).
_MARK = "\U0001d7ce"

# Each alternative begins with a different character, so the engine never backtracks into one.
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class Pattern:
    """A pattern with exactly one group, which is a number.

    Args:
        text: such as `took ([0-9.]+) ms`; may be found anywhere in a line.

    Raises:
        ValueError: it is not a pattern, or has no such group; the message says what to do.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > PATTERN_LIMIT:
            raise ValueError(f"the pattern is longer than {PATTERN_LIMIT} characters")
        # An error is reported for the whole pattern, as it was written.
        self._whole = _compiled(text)
        before, inside, after = _cut(text)
        self._inside = _compiled(f"^(?:{inside})$")
        self._around = _compiled(f"{before}{_MARK}{after}")

    def number(self, line: str) -> float | None:
        """The number in the first place of `line` that matches; None without a match."""
        line = line[:LINE_LIMIT].replace(_MARK, " ")
        if not self._whole.isinstance_python(line):
            return None
        for begin, end in _numbers(line):
            if not self._inside.isinstance_python(line[begin:end]):
                continue
            if self._around.isinstance_python(f"{line[:begin]}{_MARK}{line[end:]}"):
                value = float(line[begin:end])
                return value if math.isfinite(value) else None
        return None


def _numbers(line: str) -> Iterator[tuple[int, int]]:
    """Possible numbers: each with its sign first, without it, then its whole part."""
    for count, found in enumerate(_NUMBER.finditer(line)):
        if count >= MOST_NUMBERS:
            return
        begin, end = found.span()
        if begin and line[begin - 1] in "+-":
            yield begin - 1, end
        yield begin, end
        digits = begin
        while digits < end and line[digits].isdigit():
            digits += 1
        if begin < digits < end:
            yield begin, digits


def _compiled(text: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=text, regex_engine="rust-regex"))
    except SchemaError as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = (said[-1] if said else "it cannot be read").removeprefix("error: ")
        raise ValueError(f"the pattern cannot be read: {why}") from None


def _cut(text: str) -> tuple[str, str, str]:
    """The parts before, in and after the one capturing group.

    Raises:
        ValueError.
    """
    # For each open parenthesis: its place, and whether it captures.
    open_: list[tuple[int, bool]] = []
    groups: list[tuple[int, int, int]] = []
    alternatives = False
    place = 0
    while place < len(text):
        each = text[place]
        if each == "\\":
            place += 2
            continue
        if each == "[":
            place = _past_class(text, place)
            continue
        if each == "(":
            keeps = not text.startswith("(?", place) or bool(re.match(r"\(\?P?<", text[place:]))
            open_.append((place, keeps))
        elif each == ")":
            if not open_:
                # Possible only in a comment of verbose mode.
                raise ValueError("the pattern cannot be read: a `)` without its `(`")
            begin, keeps = open_.pop()
            if keeps:
                groups.append((begin, place, len(open_)))
        elif each == "|" and not open_:
            alternatives = True
        place += 1
    if len(groups) != 1:
        raise ValueError(
            f"the pattern has {len(groups) or 'no'} groups, and needs exactly one: the number, "
            "as in `took ([0-9.]+) ms`; write (?:…) for a group that is not the number"
        )
    begin, end, depth = groups[0]
    if depth or alternatives:
        raise ValueError(
            "the group with the number may not stand inside another group or beside `|`: put the "
            "alternatives into a (?:…)"
        )
    if text[end + 1 : end + 2] in ("*", "+", "?", "{"):
        raise ValueError("the group with the number may not be repeated; repeat inside of it")
    inside = re.sub(r"^\?P?<[^>]*>", "", text[begin + 1 : end])
    return text[:begin], inside, text[end + 1 :]


def _past_class(text: str, place: int) -> int:
    """The place after the `]` that ends the class which begins at `place`."""
    depth = 0
    while place < len(text):
        if text[place] == "\\":
            place += 2
            continue
        if text[place] == "[":
            depth += 1
            # A `]` that is the first in a class is one of its characters.
            after = re.match(r"\[\^?\]?", text[place:])
            place += after.end() if after else 1
            continue
        if text[place] == "]":
            depth -= 1
            if not depth:
                return place + 1
        place += 1
    return place
