# SPDX-License-Identifier: GPL-2.0-only
"""Which of a scheduler's selectors match a process, for those that the kernel cannot see."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from scheduler_library.policy.facts import UserSelector

UNITS = (".service", ".scope", ".slice", ".socket")
# What is looked at of a command line, characters: its owner made it, and chose its length.
COMMAND_LIMIT = 4096


def command_of(arguments: Sequence[str]) -> str:
    """The whole command line, with single spaces between the arguments."""
    return " ".join(arguments)[:COMMAND_LIMIT]


def unit_of(cgroup: str) -> str:
    """The systemd unit of a cgroup's path: its last part that is one; empty without."""
    for part in reversed(cgroup.split("/")):
        if part.endswith(UNITS):
            return part
    return ""


def selected(selectors: Iterable[UserSelector], command: str, cgroup: str) -> int:
    """The mask of a process: bit i is set where the selector with bit i matches.

    `cgroup` is a path from the root of the hierarchy. A unit matches with its ending and without.
    What has no command line (a kernel thread) matches no `cmd`, and what is in no unit no `unit`,
    whatever the pattern.
    """
    unit = unit_of(cgroup)
    spellings = {"cmd": (command,), "cgroup": (cgroup,), "unit": (unit, unit.rpartition(".")[0])}
    mask = 0
    for each in selectors:
        words = [word for word in spellings[each.field] if word]
        if any(fnmatchcase(word, pattern) for pattern in each.patterns for word in words):
            mask |= 1 << each.bit
    return mask
