# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the recently ended processes of each workload ran: whether they are uneven."""

from collections import OrderedDict, deque
from dataclasses import dataclass
from statistics import median

# How many workloads are remembered, and how many of the newest processes of each.
MOST_WORKLOADS = 128
MOST_ENDED = 128
# Older ends say nothing about the current workload, seconds.
LATELY_S = 900.0


@dataclass(frozen=True, slots=True)
class Finished:
    """`longest_ratio`: CPU time of the longest, as a multiple of the median; 0 if there
    are none.
    """

    count: int = 0
    longest_ratio: float = 0.0


NONE_FINISHED = Finished()


class Jobs:
    """CPU times of ended processes by workload, bounded."""

    def __init__(self) -> None:
        self._ended: OrderedDict[str, deque[tuple[float, float]]] = OrderedDict()

    def ended(self, workload: str, cpu_us: float, at: float) -> None:
        """One more; `at` is Unix time."""
        ring = self._ended.setdefault(workload, deque(maxlen=MOST_ENDED))
        self._ended.move_to_end(workload)
        if len(self._ended) > MOST_WORKLOADS:
            self._ended.popitem(last=False)
        ring.append((at, cpu_us))

    def finished(self, workload: str, now: float) -> Finished:
        """Those of one workload that ended lately."""
        times = [cpu for at, cpu in self._ended.get(workload, ()) if now - at < LATELY_S]
        middle = median(times) if times else 0.0
        return Finished(len(times), max(times) / middle) if middle else NONE_FINISHED
