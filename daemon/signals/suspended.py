# SPDX-License-Identifier: GPL-2.0-or-later
"""How long the machine was suspended.

The kernel has two clocks that differ in that alone (clock_gettime(2)): CLOCK_BOOTTIME counts the
time in suspend, CLOCK_MONOTONIC does not.
"""

import time
from collections.abc import Callable

# The two clocks are read one after the other; a smaller difference is that.
LEAST_S = 0.01


def slept_s() -> float:
    """The time that the machine has been suspended since its boot, seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SuspendedTime:
    """Asked at every interval: how long the machine was suspended in it."""

    def __init__(self, read: Callable[[], float] = slept_s) -> None:
        self.total = read
        self._before = read()

    def since_last(self) -> float:
        """Seconds since the last call; 0 if it was awake."""
        now = self.total()
        grown, self._before = now - self._before, now
        return grown if grown >= LEAST_S else 0.0
