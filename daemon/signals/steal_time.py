# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU time that the host takes away from this machine, if this is a virtual one.

The kernel counts it in /proc/stat (proc_stat(5), `steal`) if the hypervisor reports it.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

# How many intervals define the usual amount. A host that always takes some time is the machine as
# it is, and its trials are as good as they can be.
USUAL_INTERVALS = 60


def steal_ticks(text: str) -> tuple[int, int]:
    """Stolen clock ticks, and all ticks, of all CPUs together; from the text of /proc/stat."""
    for line in text.splitlines():
        name, *figures = line.split()
        if name == "cpu":
            # user nice system idle iowait irq softirq steal; user already includes guest time.
            ticks = [int(each) for each in figures[:8]]
            return (ticks[7] if len(ticks) > 7 else 0), sum(ticks)
    return 0, 0


class StolenTime:
    """Asked at every interval: how much more than usual was stolen in it."""

    def __init__(self, read: Callable[[], str] | None = None) -> None:
        self._read = read or Path("/proc/stat").read_text
        self._before = self._ticks()
        self._shares: deque[float] = deque(maxlen=USUAL_INTERVALS)

    def _ticks(self) -> tuple[int, int]:
        try:
            return steal_ticks(self._read())
        except (OSError, ValueError):
            return 0, 0

    def share(self) -> float:
        """The share of all CPUs' time that was stolen since the last call, beyond the usual."""
        stolen, whole = self._ticks()
        before_stolen, before_whole = self._before
        self._before = stolen, whole
        if whole <= before_whole:
            return 0.0
        share = max(0, stolen - before_stolen) / (whole - before_whole)
        usual = median(self._shares) if self._shares else 0.0
        self._shares.append(share)
        return max(0.0, share - usual)
