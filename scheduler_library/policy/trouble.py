# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a policy: the column, what was expected, and what to do."""

import difflib
from collections.abc import Iterable

from process import Fault, FaultType

# A line is shown around the place of the trouble, not whole.
SHOWN_BEFORE = 60
SHOWN_AFTER = 40


def refuse(text: str, at: int, what: str, *, expected: str = "", hint: str) -> Fault:
    """The fault for the place `at` (an offset) of a policy.

    `where` is the column (and the line, where there is more than one), `why` what was expected,
    `details` the line with a caret below the place.
    """
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
    # One printable character for each, so that the caret stands where it should.
    shown = "".join(each if each.isascii() and each.isprintable() else "?" for each in shown)
    return Fault(
        FaultType.BAD_POLICY,
        what,
        where=place,
        why=f"expected {expected}" if expected else "",
        hint=hint,
        details=(shown, " " * (column - first) + "^"),
    )


def suggestion(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean 'X'?` with the nearest known word, or else `otherwise`."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else otherwise


def listing(words: Iterable[str]) -> str:
    """`a, b or c`."""
    all_words = list(words)
    if len(all_words) < 2:
        return "".join(all_words)
    return f"{', '.join(all_words[:-1])} or {all_words[-1]}"
