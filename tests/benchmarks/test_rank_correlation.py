# SPDX-License-Identifier: GPL-2.0-or-later

import math

import pytest

from benchmarks.rank_correlation import of_runs, of_schedulers, ranks, spearman


def test_equal_values_share_a_rank() -> None:
    """Equal values get the mean of their ranks, as in Spearman's definition."""
    assert ranks([30.0, 10.0, 20.0, 10.0]) == [3.0, 0.5, 2.0, 0.5]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(1.0, 10.0), (2.0, 400.0), (3.0, 401.0)], 1.0),
        ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)], -1.0),
        # By hand: 1 - 6 * (0 + 1 + 1) / (3 * 8).
        ([(1.0, 1.0), (2.0, 3.0), (3.0, 2.0)], 0.5),
    ],
)
def test_only_the_order_counts(pairs: list[tuple[float, float]], expected: float) -> None:
    """Figures that grow together agree, whatever the amounts are."""
    assert spearman(pairs) == expected


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        # The first two are the same to the application, whatever ours says.
        ([(100.0, 2.0), (104.0, 1.0), (200.0, 3.0)], 1.0),
        ([(100.0, 2.0), (110.0, 1.0), (200.0, 3.0)], 0.333),
        # What we do not tell apart and it does is no agreement.
        ([(100.0, 1.0), (200.0, 1.0)], 0.0),
        ([(100.0, 2.0), (200.0, 1.0)], -1.0),
    ],
)
def test_only_runs_that_the_application_tells_apart_count(
    pairs: list[tuple[float, float]], expected: float
) -> None:
    """Each pair of runs that differs by 5 % or more counts for us or against us."""
    assert of_runs(pairs, 0.05) == expected


def test_runs_that_are_all_alike_say_nothing() -> None:
    """Without a difference there is no order to agree on."""
    assert math.isnan(of_runs([(100.0, 1.0), (101.0, 2.0)], 0.05))
    assert math.isnan(of_schedulers({"a": [(100.0, 1.0)], "b": [(101.0, 2.0)]}, 0.05)[0])


FAST = [(100.0, 10.0), (120.0, 11.0)]
SLOW = [(200.0, 20.0), (220.0, 9.0)]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        # Medians decide, so that one odd run of ours does not.
        ({"fast": FAST, "slow": SLOW}, (1.0, 1)),
        ({"fast": FAST, "slow": [(own, 5.0) for own, _ in SLOW]}, (-1.0, 1)),
        # The third overlaps with both, by the application's own figures: no order is right.
        ({"fast": FAST, "slow": SLOW, "either": [(110.0, 1.0), (210.0, 1.0)]}, (1.0, 1)),
        ({"fast": FAST, "slow": [(121.0, 5.0), (140.0, 5.0)]}, (-1.0, 1)),
        # One after the other, but by less than a trial would keep anything for.
        ({"fast": [(100.0, 9.0), (101.0, 9.0)], "slow": [(102.0, 1.0), (103.0, 1.0)]}, (None, 0)),
    ],
)
def test_only_schedulers_that_the_application_tells_apart_count(
    runs: dict[str, list[tuple[float, float]]], expected: tuple[float | None, int]
) -> None:
    """Each run of the one has to be beyond each run of the other."""
    found, told_apart = of_schedulers(runs, 0.05)
    assert (None if math.isnan(found) else found, told_apart) == expected
