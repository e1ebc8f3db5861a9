# SPDX-License-Identifier: GPL-2.0-or-later
"""The facts that a scheduler needs from userspace while it runs, because the kernel does not know
them.
"""

from dataclasses import dataclass

from bpf.common.selectors import UserSelector

__all__ = ["PolicyFacts", "UserSelector"]


@dataclass(frozen=True)
class PolicyFacts:
    """All facts. The maps are keyed by process id (u32, tgid) and hold u64.

    `selectors`: bit i in the map `selected` is set if selector i matches the process.
    `expected_runtime`: the map of this name has the CPU time of the process's whole run, ns.
    """

    selectors: tuple[UserSelector, ...] = ()
    expected_runtime: bool = False
