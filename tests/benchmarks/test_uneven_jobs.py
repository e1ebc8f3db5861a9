# SPDX-License-Identifier: GPL-2.0-or-later
"""The bound for a batch of jobs is the best possible result."""

import pytest

from benchmarks.uneven_jobs import Batch, bounds, closed


def test_the_bound_is_the_longest_job_or_all_work_on_all_cpus() -> None:
    """No batch is done before its longest job, nor before the CPUs have done all work."""
    assert bounds([9, 1, 1], cpus=2)[0] == 9
    assert bounds([3, 3, 3, 1], cpus=2)[0] == 5


def test_the_best_mean_is_that_of_the_shortest_first() -> None:
    """On two CPUs 1 and 1 end at 1, and the 4 that follows at 5."""
    assert bounds([4, 1, 1], cpus=2)[1] == pytest.approx((1 + 1 + 5) / 3)


def test_what_is_closed_is_a_part_of_the_gap() -> None:
    """Half-way between the default and the bound is half of the gap."""
    off, arm = Batch(20, 15, 10, 5), Batch(15, 10, 10, 5)
    found = closed([off] * 4, [arm] * 4, lambda each: (each.makespan, each.best_makespan))
    assert found["closed"] == 0.5
    assert found["closed_95"] == [0.5, 0.5]
