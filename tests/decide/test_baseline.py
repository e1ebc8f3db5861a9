# SPDX-License-Identifier: GPL-2.0-or-later
import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.baseline import Baseline
from tests.decide.synthetic import seeded


def learnt(values: list[float], size: int = 120) -> Baseline:
    baseline = Baseline()
    for value in values:
        baseline = baseline.after(value, size)
    return baseline


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_the_typical_value_is_the_median(values: list[float]) -> None:
    """The centre is the median of the logarithms of the values in the ring."""
    assert learnt(values).typical == pytest.approx(
        math.exp(median(math.log(value) for value in values)), rel=1e-3
    )


def test_the_spread_estimates_the_standard_deviation() -> None:
    """For lognormal values the scaled MAD is near the deviation of the logarithm."""
    dice = seeded(5)
    values = [math.exp(dice.gauss(7, 0.3)) for _ in range(400)]
    assert learnt(values, 400).spread == pytest.approx(0.3, rel=0.15)


def test_a_third_of_outliers_does_not_move_it() -> None:
    """Values a thousand times too large, in a third of the ring, change the centre little."""
    dice = seeded(5)
    values = [1000 * math.exp(dice.gauss(0, 0.1)) for _ in range(80)] + [1e6] * 40
    dice.shuffle(values)
    assert learnt(values).typical == pytest.approx(1000, rel=0.15)


def test_a_quiet_signal_is_not_infinitely_significant() -> None:
    """Values without any noise still have a spread above zero."""
    baseline = learnt([1000.0] * 50)
    assert baseline.z(1000) == pytest.approx(0, abs=1e-3)
    assert baseline.z(1100) < 2
    assert baseline.ratio(2000) == pytest.approx(2, rel=1e-3)


def test_it_forgets_what_the_ring_no_longer_holds() -> None:
    """After enough new values to fill the ring, nothing of the old level remains."""
    baseline = learnt([1000.0] * 100 + [3000.0] * 60, 60)
    assert baseline.count == 60
    assert baseline.typical == pytest.approx(3000, rel=1e-3)


def test_512_workloads_stay_small() -> None:
    """The ring is bounded and takes four bytes for each value."""
    baseline = learnt([float(value) for value in range(1, 1000)], 120)
    assert baseline.count == 120
    assert baseline.ring.itemsize == 4


def test_the_past_is_not_changed_by_the_future() -> None:
    """A state stays the same after others were made from it."""
    before = learnt([1000.0] * 30, 30)
    held = list(before.ring)
    before.after(5000.0, 30)
    assert list(before.ring) == held
