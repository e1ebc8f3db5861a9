# SPDX-License-Identifier: GPL-2.0-or-later
"""Which CPUs of a machine are alike or belong together. Pure: this_machine.py reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler_library.cpu_list import cpu_list, ranges_of

# Speeds that differ by less are the same: capacity_greater() of the kernel's fair.c, percent.
SAME_SPEED_PERCENT = 5


class SpeedSource(StrEnum):
    """What says which CPUs are fast, in the order of asking."""

    CAPACITY = "cpu_capacity"
    CORE_TYPE = "core type"
    HIGHEST_PERF = "acpi_cppc/highest_perf"
    MAX_FREQUENCY = "cpufreq/cpuinfo_max_freq"


@dataclass(frozen=True)
class Topology:
    """The CPUs that are online, and their sets. An empty one is of a machine about which nothing is
    known: one node, one last-level cache (LLC), all CPUs alike.

    `nodes`: number of a NUMA node, as the kernel counts, to its CPUs; without nodes that have none.
    `llcs`: in the order of their first CPUs. `cores`: the SMT siblings of each. `fast` is empty if
    all are equally fast; `fast_by` is what said so.
    """

    online: frozenset[int] = frozenset()
    nodes: Mapping[int, frozenset[int]] = field(default_factory=dict)
    llcs: tuple[frozenset[int], ...] = ()
    cores: tuple[frozenset[int], ...] = ()
    fast: frozenset[int] = frozenset()
    fast_by: SpeedSource | None = None

    @property
    def slow(self) -> frozenset[int]:
        """Empty if all are equally fast."""
        return self.online - self.fast if self.fast else frozenset()

    @property
    def smt(self) -> bool:
        """Whether some core has more than one CPU."""
        return any(len(core) > 1 for core in self.cores)

    def below(self, cpus: int) -> "Topology":
        """The part of it that a machine with so many CPUs has."""
        kept = frozenset(each for each in self.online if each < cpus)
        fast = self.fast & kept
        return Topology(
            kept,
            {number: each & kept for number, each in self.nodes.items() if each & kept},
            tuple(each & kept for each in self.llcs if each & kept),
            tuple(each & kept for each in self.cores if each & kept),
            fast if fast != kept else frozenset(),
            self.fast_by if fast and fast != kept else None,
        )


def fast_ones(speeds: Mapping[int, int]) -> frozenset[int]:
    """The CPUs whose speed is nearer to that of the fastest than to that of the slowest; none if
    all are about the same.

    Args:
        speeds: CPU to a number above 0, of any unit.
    """
    high, low = max(speeds.values(), default=0), min(speeds.values(), default=0)
    if high * 100 < low * (100 + SAME_SPEED_PERCENT):
        return frozenset()
    return frozenset(cpu for cpu, speed in speeds.items() if 2 * speed >= high + low)


def named_sets(topology: Topology) -> dict[str, str]:
    """The sets that tell CPUs apart here, as a policy names them, and their CPUs: `cpus llc 1` to
    `8-15`. Empty where all CPUs are alike.
    """
    found: dict[str, frozenset[int]] = {}
    if topology.fast:
        found |= {"cpus fast": topology.fast, "cpus slow": topology.slow}
    if len(topology.nodes) > 1:
        found |= {f"cpus node {number}": each for number, each in sorted(topology.nodes.items())}
    if len(topology.llcs) > 1:
        found |= {f"cpus llc {number}": each for number, each in enumerate(topology.llcs)}
    return {name: cpu_list(ranges_of(each)) for name, each in found.items()}
