# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies for this machine: they are checked against its CPUs and its users."""

import os
import pwd
import re
from pathlib import Path
from typing import TYPE_CHECKING

from scheduler_library.cpu_list import cpu_list, ranges_of
from scheduler_library.topology_here import DEVICES, topology_here

if TYPE_CHECKING:
    from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, Use

# A policy without one of these words does not ask for the topology.
_ABOUT_TOPOLOGY = re.compile(r"\b(?:fast|slow|node|llc|smt)\b")
POSSIBLE = Path("/sys/devices/system/cpu/possible")


def this_machine(possible: Path = POSSIBLE) -> "TargetMachine":
    """This machine, for the policy compiler."""
    # Imported here: a daemon that compiles no policy does not pay for the parser.
    from scheduler_library.policy.compiler import TargetMachine

    return TargetMachine(possible_cpus(possible), user_id, topology=topology_here)


def machine_stamp(text: str, possible: Path = POSSIBLE, devices: Path = DEVICES) -> str:
    """The CPUs that the C of this policy depends on: the topology, if it names CPUs by that."""
    cpus = str(possible_cpus(possible))
    if not _ABOUT_TOPOLOGY.search(text):
        return cpus
    found = topology_here(devices)
    nodes = [f"{number}: {_listed(each)}" for number, each in sorted(found.nodes.items())]
    sets = [found.online, found.fast, *found.llcs, *found.cores]
    return "; ".join([cpus, *nodes, *map(_listed, sets)])


def _listed(cpus: frozenset[int]) -> str:
    return cpu_list(ranges_of(cpus))


def compile_here(text: str, *, cpus: int = 0) -> "CompiledPolicy | Use":
    """A policy as C for this machine, or its request for another scheduler.

    Args:
        cpus: the CPUs of the simulated machine that it is for, if it is for one. It has those of
            this machine's CPU sets that are below that number.

    Raises:
        Fault: BAD_POLICY, with the column in the text as it was written.
    """
    from scheduler_library.policy.compiler import TargetMachine, compile_policy

    machine = this_machine()
    if cpus:
        machine = TargetMachine(
            cpus, user_id, simulated=True, topology=lambda: topology_here().below(cpus)
        )
    return compile_policy(text, machine=machine)


def possible_cpus(possible: Path = POSSIBLE) -> int:
    """One more than the highest possible CPU number here, as in sysfs (`0-3`)."""
    try:
        numbers = re.findall(r"\d+", possible.read_text())
    except OSError:
        numbers = []
    return max(map(int, numbers)) + 1 if numbers else os.cpu_count() or 1


def user_id(name: str) -> int | None:
    """The id of a user, None if there is no such user."""
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None
