# SPDX-License-Identifier: GPL-2.0-or-later
"""Selectors that the kernel cannot evaluate, and which of them match a process.

Userspace passes the result to a scheduler in its map `selected`: the daemon for running processes,
the simulator for tasks of a workload.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

UNITS = (".service", ".scope", ".slice", ".socket")


@dataclass(frozen=True)
class UserSelector:
    """One selector that the kernel cannot evaluate.

    `bit` (0 to 63) is its bit in the map `selected`, `field` is `cmd`, `cgroup` or `unit`. A match
    of any of the `patterns`, shell globs as in `fnmatch.fnmatchcase`, is enough.
    """

    bit: int
    field: str
    patterns: tuple[str, ...]


def unit_of(cgroup: str) -> str:
    """The systemd unit of a cgroup's path: the last part that is a unit; empty if there is none."""
    for part in reversed(cgroup.split("/")):
        if part.endswith(UNITS):
            return part
    return ""


def selected(selectors: Iterable[UserSelector], command: str, cgroup: str) -> int:
    """The mask of a process: bit i is set if the selector with bit i matches.

    `cgroup` is a path from the root of the hierarchy. A unit matches with and without its suffix. A
    process without command line (a kernel thread) matches no `cmd`, and one outside units no
    `unit`, whatever the pattern.
    """
    unit = unit_of(cgroup)
    spellings = {"cmd": (command,), "cgroup": (cgroup,), "unit": (unit, unit.rpartition(".")[0])}
    mask = 0
    for each in selectors:
        words = [word for word in spellings[each.field] if word]
        if any(fnmatchcase(word, pattern) for pattern in each.patterns for word in words):
            mask |= 1 << each.bit
    return mask
