# SPDX-License-Identifier: GPL-2.0-or-later

import pytest

from benchmarks.applications import APPLICATIONS
from benchmarks.own_numbers import agreement, ranks


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
    assert agreement(pairs) == expected


def test_each_application_is_a_workload_by_itself() -> None:
    """Otherwise what is seen of one would be another's, too."""
    assert len({each.workload for each in APPLICATIONS}) == len(APPLICATIONS) == 7
