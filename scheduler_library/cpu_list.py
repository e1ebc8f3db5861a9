# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of CPU numbers as the kernel writes them: `0-3,6`."""

import re
from collections.abc import Iterable

# Both ends included, ascending and not adjacent.
Ranges = tuple[tuple[int, int], ...]

# The kernel is built for at most so many CPUs (CONFIG_NR_CPUS of all architectures).
MOST_CPUS = 8192
_LIST = re.compile(r"[0-9]{1,5}(?:-[0-9]{1,5})?(?:,[0-9]{1,5}(?:-[0-9]{1,5})?)*")


def parse_cpu_list(text: str) -> frozenset[int]:
    """The numbers of a list; an empty text has none.

    Raises:
        ValueError: it is not such a list, or has a number of 8192 or more.
    """
    text = text.strip()
    if not text:
        return frozenset()
    if not _LIST.fullmatch(text):
        raise ValueError("not a list of CPUs")
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if high < low or high >= MOST_CPUS:
            raise ValueError("not a list of CPUs")
        found.update(range(low, high + 1))
    return frozenset(found)


def joined(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """The same numbers in as few ascending ranges as possible."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def ranges_of(numbers: Iterable[int]) -> Ranges:
    return joined((each, each) for each in numbers)


def cpu_list(ranges: Ranges) -> str:
    """As the kernel and the policy language write it."""
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ranges)
