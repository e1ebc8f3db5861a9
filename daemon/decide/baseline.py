# SPDX-License-Identifier: GPL-2.0-or-later
"""The normal value of one signal of one workload: a median and a robust spread.

Kept as logarithms, because delays grow by factors: a value twice the median is as far from it as
one half of it. The spread is 1.4826 times the median absolute deviation, which for a normal
distribution is its standard deviation (Hampel 1974, "The influence curve and its role in robust
estimation").
"""

import math
from array import array
from dataclasses import dataclass, field
from statistics import median

# MAD to standard deviation, 1 / Φ⁻¹(3/4).
MAD_SCALE = 1.4826
# The minimum spread (6 %): histogram buckets alone move a percentile that much, and with a spread
# of zero every change would be significant.
SPREAD_MIN = 0.06
# Smaller values are raised to this, so that an idle interval has a logarithm.
VALUE_MIN = 1e-3
# The summary is renewed with each of the first values, then at this interval.
RENEW_EVERY = 4


@dataclass(frozen=True, slots=True)
class Baseline:
    """A bounded ring of logarithms and their summary; 4 bytes per value.

    `centre` and `spread` are natural logarithms; use `typical`, `ratio` and `z`.
    """

    ring: "array[float]" = field(default_factory=lambda: array("f"))
    place: int = 0
    centre: float = 0.0
    spread: float = SPREAD_MIN

    @property
    def count(self) -> int:
        return len(self.ring)

    @property
    def typical(self) -> float:
        """The median, in the signal's own unit; 0 if nothing is known."""
        return math.exp(self.centre) if self.ring else 0.0

    def ratio(self, value: float) -> float:
        """`value` as a multiple of the median."""
        return math.exp(_log(value) - self.centre)

    def z(self, value: float) -> float:
        """How many robust standard deviations `value` lies above the median."""
        return (_log(value) - self.centre) / self.spread

    def after(self, value: float, size: int) -> "Baseline":
        """With one more value; it replaces the oldest of `size`."""
        ring = self.ring[-size:] if len(self.ring) > size else self.ring[:]
        if len(ring) < size:
            place = 0
            ring.append(_log(value))
        else:
            place = self.place % size
            ring[place] = _log(value)
            place += 1
        if len(ring) == size and place % RENEW_EVERY:
            return Baseline(ring, place, self.centre, self.spread)
        centre = median(ring)
        deviation = median(abs(each - centre) for each in ring)
        return Baseline(ring, place, centre, max(SPREAD_MIN, MAD_SCALE * deviation))


def _log(value: float) -> float:
    return math.log(max(value, VALUE_MIN))
