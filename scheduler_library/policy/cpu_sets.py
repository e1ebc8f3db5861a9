# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolves the CPU sets of a policy on the machine that it is compiled for."""

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler_library.cpu_list import cpu_list, ranges_of
from scheduler_library.policy.formatter import format_property
from scheduler_library.policy.syntax import Cpus, CpuSet, CpuSetKind
from scheduler_library.policy.trouble import refuse
from scheduler_library.topology import Topology

# How many nodes or LLCs a message lists with their CPUs.
_MOST_LISTED = 8


@dataclass(frozen=True)
class CpuSets:
    """The sets of one machine. `nr_cpus` counts possible CPUs; `simulated` as in TargetMachine."""

    topology: Topology
    nr_cpus: int
    simulated: bool = False

    def resolve(self, text: str, cpus: Cpus) -> Cpus | None:
        """The CPUs of a property as numbers; None if its sets are all CPUs of the machine.

        Raises:
            Fault: BAD_POLICY: the machine has no such CPU, node or LLC, or no CPU is in all sets.
        """
        self._check_numbers(text, cpus)
        if not cpus.sets:
            return cpus
        everywhere = self._everywhere()
        found = everywhere
        for each in cpus.sets:
            found &= self._of(text, each)
        if cpus.ranges:
            found &= {cpu for first, last in cpus.ranges for cpu in range(first, last + 1)}
        if not found:
            raise refuse(
                text,
                cpus.at,
                f"`{format_property(cpus)}` has no CPU{self._where()}",
                expected="sets that have a CPU in common",
                hint="each `and` narrows the set; leave one of them out",
            )
        return None if found == everywhere else Cpus(ranges_of(found), at=cpus.at)

    def is_everywhere(self, text: str, each: CpuSet) -> bool:
        """Whether one set is all CPUs of the machine.

        Raises:
            Fault: BAD_POLICY: the machine has no such node or LLC.
        """
        return self._of(text, each) == self._everywhere()

    def _everywhere(self) -> frozenset[int]:
        return self.topology.online or frozenset(range(self.nr_cpus))

    def _check_numbers(self, text: str, cpus: Cpus) -> None:
        if cpus.ranges and cpus.ranges[-1][1] >= self.nr_cpus:
            raise refuse(
                text,
                cpus.at,
                f"there is no CPU {cpus.ranges[-1][1]}{self._where()}",
                expected=f"CPUs 0 to {self.nr_cpus - 1}",
                hint=self._hint("`lscpu --extended` lists the CPUs of this machine"),
            )

    def _of(self, text: str, each: CpuSet) -> frozenset[int]:
        everywhere = self._everywhere()
        match each.kind:
            case CpuSetKind.FAST:
                return self.topology.fast or everywhere
            case CpuSetKind.SLOW:
                return self.topology.slow or everywhere
            case CpuSetKind.NODE:
                there = self.topology.nodes or {0: everywhere}
                what = "NUMA node"
            case CpuSetKind.LLC:
                there = dict(enumerate(self.topology.llcs or (everywhere,)))
                what = "LLC"
        found = frozenset[int]()
        for first, last in each.numbers:
            # The first that is not there is refused, however many are named.
            for number in range(first, min(last, max(first, *there) + 1) + 1):
                if number not in there:
                    raise refuse(
                        text,
                        each.at,
                        f"there is no {what} {number}{self._where()}",
                        expected=_listed(each.kind, there),
                        hint=self._hint("`lscpu --extended` lists nodes and caches"),
                    )
                found |= there[number]
        return found

    @property
    def machine(self) -> str:
        return "the simulated machine" if self.simulated else "this machine"

    def _where(self) -> str:
        return f" in {self.machine}" if self.simulated else ""

    def _hint(self, otherwise: str) -> str:
        return "simulate more CPUs (--cpus), or name others" if self.simulated else otherwise


def _listed(kind: CpuSetKind, there: Mapping[int, frozenset[int]]) -> str:
    """`llc 0 (CPUs 0-7) or llc 1 (CPUs 8-15)`."""
    shown = [
        f"{kind} {number} (CPUs {cpu_list(ranges_of(cpus))})"
        for number, cpus in sorted(there.items())[:_MOST_LISTED]
    ]
    if len(there) > _MOST_LISTED:
        return f"{kind} {cpu_list(ranges_of(there))}, such as {shown[0]}"
    return " or ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
