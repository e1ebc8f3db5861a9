# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host takes away from this machine, where this machine is a virtual one.

The kernel counts it in /proc/stat (proc_stat(5), `steal`) where the hypervisor tells.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

# Intervals that make what is usual. On a host that always takes something that is the machine as it
# is, and its trials are as good as they can be.
USUAL_INTERVALS = 60


def steal_ticks(text: str) -> tuple[int, int]:
    """Clock ticks stolen, and all ticks, of all CPUs together; from the text of /proc/stat."""
    for line in text.splitlines():
        name, *figures = line.split()
        if name == "cpu":
            # user nice system idle iowait irq softirq steal; guest time is in user already.
            ticks = [int(each) for each in figures[:8]]
            return (ticks[7] if len(ticks) > 7 else 0), sum(ticks)
    return 0, 0


class StolenTime:
    """Asked with every interval: how much more was stolen in it than is usual."""

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
