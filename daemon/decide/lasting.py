# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether something lasts: k bad ones of the last n begin it, and this many calm ones in a row end
it.
"""

from dataclasses import dataclass
from enum import Enum


class IntervalMark(Enum):
    """The result of one interval. BETWEEN is neither bad enough to begin nor calm enough to end."""

    BAD = "bad"
    BETWEEN = "between"
    CALM = "calm"


@dataclass(frozen=True, slots=True)
class Lasting:
    """Memory of the last intervals. Each mark is the interval's start if bad, else 0."""

    marks: tuple[float, ...] = ()
    calm: int = 0
    since: float = 0.0

    @property
    def active(self) -> bool:
        return self.since > 0

    def after(self, mark: IntervalMark, began: float, *, bad: int, of: int, calm: int) -> "Lasting":
        """With one more interval that `began` then. Becomes active, or ends, by the counts."""
        marks = (*self.marks, began if mark is IntervalMark.BAD else 0.0)[-of:]
        calm_now = self.calm + 1 if mark is IntervalMark.CALM else 0
        if self.active:
            if calm_now >= calm:
                return STILL
            return Lasting(marks, calm_now, self.since)
        starts = [start for start in marks if start > 0]
        since = starts[0] if len(starts) >= bad else 0.0
        return Lasting(marks, calm_now, since)

    def interrupted(self) -> "Lasting":
        """After a gap: an active state stays active, but no streak crosses the gap."""
        return Lasting(since=self.since)


# Nothing has happened yet.
STILL = Lasting()
