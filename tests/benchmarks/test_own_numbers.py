# SPDX-License-Identifier: GPL-2.0-or-later

import math

import pytest

from benchmarks.applications import APPLICATIONS
from benchmarks.own_numbers import ordered_alike, ranks, spearman


def test_equal_values_share_a_rank() -> None:
    """As in Spearman's own definition: each gets the mean of their places."""
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
    """What grows together agrees, by however much."""
    assert spearman(pairs) == expected


def test_each_application_is_a_workload_by_itself() -> None:
    """Otherwise what is seen of one would be another's, too."""
    assert len({each.workload for each in APPLICATIONS}) == len(APPLICATIONS) == 7


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
def test_only_what_the_application_tells_apart_counts(
    pairs: list[tuple[float, float]], expected: float
) -> None:
    """Each pair of runs that differs by 5 % or more is for us or against us."""
    assert ordered_alike(pairs, 0.05) == expected


def test_runs_that_are_all_alike_say_nothing() -> None:
    """Without a difference there is no order to agree on."""
    assert math.isnan(ordered_alike([(100.0, 1.0), (101.0, 2.0)], 0.05))
