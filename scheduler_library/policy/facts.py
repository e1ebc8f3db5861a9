# SPDX-License-Identifier: GPL-2.0-or-later
"""What a scheduler has to be told while it runs, because the kernel does not know it."""

from dataclasses import dataclass

from bpf.common.selectors import UserSelector

__all__ = ["Facts", "UserSelector"]


@dataclass(frozen=True)
class Facts:
    """All of it. The maps are keyed by process id (u32, tgid) and hold u64.

    `selectors`: the map `selected` has bit i set where selector i matches the process.
    `expected_runtime`: the map of this name has the CPU time of the process's whole run, ns.
    """

    selectors: tuple[UserSelector, ...] = ()
    expected_runtime: bool = False
