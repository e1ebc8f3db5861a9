# SPDX-License-Identifier: GPL-2.0-or-later
"""How the guest's CPUs are arranged: memory nodes, last-level caches, cores, threads."""

import re
from dataclasses import dataclass

from process import Fault, FaultType

_TEXT = re.compile(r"([1-9]\d?)x([1-9]\d?)x([1-9]\d?)x([1-9]\d?)")
_MEMORY = re.compile(r"(\d{1,7})([MG])")
MOST_CPUS = 255


@dataclass(frozen=True)
class GuestTopology:
    """Memory nodes, the last-level caches in each, cores that share one, and threads of a core.

    CPUs are numbered along it: the threads of a core are neighbours, then the cores of a cache.

    Each cache is a socket of its own, because guests with several dies in a socket end QEMU 10.0
    (an assertion about the CPUID leaf that enumerates dies). Schedulers do not look at sockets.
    """

    nodes: int
    caches: int
    cores: int
    threads: int

    @property
    def cpus(self) -> int:
        return self.nodes * self.caches * self.cores * self.threads

    @classmethod
    def parse(cls, text: str) -> "GuestTopology":
        """From `2x2x2x2`: nodes, caches in each, cores in each of those, threads of a core.

        Raises:
            Fault: BAD_REQUEST.
        """
        found = _TEXT.fullmatch(text)
        topology = cls(*map(int, found.groups())) if found else None
        if topology is None or topology.cpus > MOST_CPUS:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"{text!r} is not a topology",
                hint="write NODESxCACHESxCORESxTHREADS, such as 2x2x2x2, "
                f"with at most {MOST_CPUS} CPUs",
            )
        return topology

    def words(self, memory: str) -> list[str]:
        """QEMU's options for it, with `memory` (`2G`) divided among the nodes.

        Raises:
            Fault: BAD_REQUEST.
        """
        each = self.cpus // self.nodes
        share = _mebibytes(memory) // self.nodes
        words = [
            "-smp",
            f"{self.cpus},sockets={self.nodes * self.caches},cores={self.cores},"
            f"threads={self.threads}",
            "-m",
            f"{share * self.nodes}M",
        ]
        for node in range(self.nodes):
            first = node * each
            words += ["-object", f"memory-backend-ram,id=node{node},size={share}M"]
            words += [
                "-numa",
                f"node,nodeid={node},memdev=node{node},cpus={first}-{first + each - 1}",
            ]
        return words


def _mebibytes(memory: str) -> int:
    found = _MEMORY.fullmatch(memory)
    if not found:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"{memory!r} is not an amount of memory",
            hint="write it with its unit, such as 512M or 2G",
        )
    return int(found[1]) * (1024 if found[2] == "G" else 1)
