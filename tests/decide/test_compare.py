# SPDX-License-Identifier: GPL-2.0-or-later
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.compare import critical, permutation_p, ratio_of, within
from tests.decide.synthetic import seeded

# Two-sided quantiles of Student's t, from the table in Fisher and Yates, Statistical Tables.
TABLE = [
    (0.95, 1, 12.706),
    (0.95, 2, 4.303),
    (0.95, 6, 2.447),
    (0.95, 10, 2.228),
    (0.95, 30, 2.042),
    (0.99, 1, 63.657),
    (0.99, 2, 9.925),
    (0.99, 6, 3.707),
    (0.99, 10, 3.169),
    (0.99, 30, 2.750),
    (0.999, 6, 5.959),
]


@pytest.mark.parametrize(("confidence", "freedom", "t"), TABLE)
def test_quantiles_of_t_are_those_of_the_table(confidence: float, freedom: int, t: float) -> None:
    """Every checked quantile agrees with the published one to its last digit."""
    assert critical(confidence, freedom) == pytest.approx(t, abs=6e-4)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    """With very many degrees of freedom, 95 % lie within 1.96."""
    assert critical(0.95, 100_000) == pytest.approx(1.95996, abs=1e-4)
    assert within(1.0, 1.0) == pytest.approx(0.5, abs=1e-9)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    """In many comparisons with unequal noise, about 95 % of the intervals contain the true
    ratio."""
    dice, held, rounds = seeded(11), 0, 1500
    for _ in range(rounds):
        baseline = [math.exp(dice.gauss(0, 0.1)) for _ in range(5)]
        candidate = [math.exp(dice.gauss(math.log(0.8), 0.3)) for _ in range(7)]
        ratio = ratio_of(baseline, candidate, 0.95)
        held += ratio.low <= 0.8 <= ratio.high
    assert 0.935 <= held / rounds <= 0.965


positive = st.lists(st.floats(0.01, 1e6), min_size=2, max_size=6)


@given(positive, positive)
def test_swapping_the_arms_inverts_the_ratio(one: list[float], other: list[float]) -> None:
    """The comparison does not prefer an arm."""
    forth, back = ratio_of(one, other, 0.95), ratio_of(other, one, 0.95).inverse()
    assert forth.value == pytest.approx(back.value)
    assert math.log(forth.low) == pytest.approx(math.log(back.low), abs=1e-6)


def test_equal_values_do_not_make_an_interval_of_nothing() -> None:
    """Equal windows still leave some doubt."""
    ratio = ratio_of([100.0] * 4, [100.0] * 4, 0.95)
    assert ratio.value == pytest.approx(1)
    assert ratio.low < 0.99
    assert ratio.high > 1.01


def test_the_permutation_test_counts_exactly() -> None:
    """Four against four in perfect order is one arrangement of seventy."""
    assert permutation_p([5, 6, 7, 8], [1, 2, 3, 4]) == pytest.approx(1 / 70)
    assert permutation_p([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(1)


def test_a_large_permutation_test_is_sampled_and_repeats_itself() -> None:
    """If not all arrangements can be tried, the same values still give the same answer."""
    dice = seeded(4)
    baseline = [math.exp(dice.gauss(0, 0.2)) for _ in range(20)]
    candidate = [math.exp(dice.gauss(-0.5, 0.2)) for _ in range(20)]
    first = permutation_p(baseline, candidate)
    assert first == permutation_p(baseline, candidate)
    assert first < 0.001
