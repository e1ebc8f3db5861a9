# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether two globs can match the same text, and whether one matches everything that another does.

A glob consists of characters, `?` for any one and `*` for any number. Both are small automata: a
place in the pattern is a state, and a star can be left without a character.
"""

from collections.abc import Iterator
from functools import lru_cache

# With more pairs of states than this the search stops and the careful answer is given.
MOST_STATES = 100
# Stands for every character that neither pattern names.
_OTHER = "\x00"


@lru_cache(maxsize=4096)
def meet(first: str, second: str) -> bool:
    """Whether some text matches both."""
    seen = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        if _rest_is_empty(first, i) and _rest_is_empty(second, j):
            return True
        found: list[tuple[int, int]] = []
        a, b = first[i : i + 1], second[j : j + 1]
        if a == "*":
            found.append((i + 1, j))
        if b == "*":
            found.append((i, j + 1))
        if a and b and (a == b or a in "?*" or b in "?*"):
            found.append((i if a == "*" else i + 1, j if b == "*" else j + 1))
        for each in found:
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return False


@lru_cache(maxsize=4096)
def within(narrow: str, wide: tuple[str, ...]) -> bool:
    """Whether every text that `narrow` matches is matched by one of the `wide`.

    False, too, if it would take too long to find out.
    """
    letters = {each for pattern in (narrow, *wide) for each in pattern} - set("*?") | {_OTHER}
    start = (_closed(narrow, {0}), tuple(_closed(each, {0}) for each in wide))
    seen = {start}
    waiting = [start]
    while waiting:
        if len(seen) > MOST_STATES:
            return False
        states, others = waiting.pop()
        ends = any(len(each) in those for each, those in zip(wide, others, strict=True))
        if len(narrow) in states and not ends:
            return False
        for letter in letters:
            after = _step(narrow, states, letter)
            if after:
                following = (
                    after,
                    tuple(
                        _step(each, those, letter) for each, those in zip(wide, others, strict=True)
                    ),
                )
                if following not in seen:
                    seen.add(following)
                    waiting.append(following)
    return True


def _rest_is_empty(pattern: str, at: int) -> bool:
    return not pattern[at:].strip("*")


def _closed(pattern: str, states: set[int]) -> frozenset[int]:
    """These places and those behind stars that match nothing."""
    found: set[int] = set()
    for each in states:
        found.add(each)
        while each < len(pattern) and pattern[each] == "*":
            each += 1
            found.add(each)
    return frozenset(found)


def _step(pattern: str, states: frozenset[int], letter: str) -> frozenset[int]:
    return _closed(pattern, set(_followed(pattern, states, letter)))


def _followed(pattern: str, states: frozenset[int], letter: str) -> Iterator[int]:
    for each in states:
        if each < len(pattern):
            if pattern[each] == "*":
                yield each
            elif pattern[each] in ("?", letter):
                yield each + 1
