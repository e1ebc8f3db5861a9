# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the recently ended processes of a workload are uneven."""

from daemon.decide.jobs import LATELY_S, MOST_ENDED, MOST_WORKLOADS, Finished, Jobs


def test_the_longest_is_compared_with_the_median() -> None:
    """One long job among short ones shows, however many short ones there are."""
    jobs = Jobs()
    for cpu in (1000.0, 1200.0, 900.0, 1000.0, 40_000.0):
        jobs.ended("comm:gzip", cpu, 10.0)
    assert jobs.finished("comm:gzip", 20.0) == Finished(5, 40.0)
    assert jobs.finished("comm:other", 20.0) == Finished()


def test_only_what_ended_lately_counts() -> None:
    """A workload's past says nothing about its present."""
    jobs = Jobs()
    jobs.ended("comm:gzip", 5000.0, 0.0)
    jobs.ended("comm:gzip", 1000.0, LATELY_S)
    assert jobs.finished("comm:gzip", LATELY_S + 1) == Finished(1, 1.0)
    assert jobs.finished("comm:gzip", 3 * LATELY_S) == Finished()


def test_what_is_remembered_is_bounded() -> None:
    """The oldest processes go first, and the workload whose last end is the longest ago."""
    jobs = Jobs()
    for number in range(MOST_ENDED + 10):
        jobs.ended("comm:old", 1.0 + number, 0.0)
    assert jobs.finished("comm:old", 1.0).count == MOST_ENDED
    for number in range(MOST_WORKLOADS):
        jobs.ended(f"comm:{number}", 1.0, 0.0)
    assert jobs.finished("comm:old", 1.0).count == 0
