# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a batch takes, from the lives of its processes in the signals."""

from dataclasses import replace

import pytest

from daemon.decide.makespan import makespan_of
from daemon.decide.observation import Observation, WorkloadObservation
from tests.decide.synthetic import SERVICE, START, histogram

STEP = 0.5


def seen(
    lives: list[tuple[float, float]], until: float
) -> list[tuple[Observation, list[WorkloadObservation]]]:
    """The signals of processes that lived between these seconds after `START`."""
    found = []
    for number in range(int(until / STEP)):
        begin, end = number * STEP, (number + 1) * STEP
        ended = [e - b for b, e in lives if begin < e <= end]
        still = [end - b for b, e in lives if b <= end < e]
        part = WorkloadObservation(
            id=SERVICE,
            turnaround_count=len(ended),
            turnaround_hist=histogram(1e6 * s for s in ended),
            open_jobs_hist=histogram(1e6 * s for s in still),
        )
        found.append((Observation(START + end, STEP, {SERVICE: part}), [part]))
    return found


# Jobs of uneven length, all begun at once.
UNEVEN = [(1.0, 3.0), (1.0, 4.5), (1.0, 2.0), (1.0, 11.0)]


def test_a_batch_lasts_from_its_first_fork_to_its_last_exit() -> None:
    """Whatever else of it ended before."""
    found = makespan_of(seen(UNEVEN, 13), START)
    assert found is not None
    assert found.batches == 1
    assert found.length_us == pytest.approx(10e6, rel=0.08)


def test_overlapping_jobs_are_one_batch() -> None:
    """Two at a time, one after the other: no single life is as long as all of it."""
    lives = [(1.0 + n, 4.0 + n) for n in range(0, 20, 2)]
    found = makespan_of(seen(lives, 26), START)
    assert found is not None
    assert found.batches == 1
    assert found.length_us == pytest.approx(21e6, rel=0.08)


def test_batches_one_after_the_other_stay_apart() -> None:
    """A loop that starts the next batch after the last one has several batches."""
    lives = [(b + 10.02 * n, e + 10.02 * n) for n in range(3) for b, e in UNEVEN]
    found = makespan_of(seen(lives, 34), START)
    assert found is not None
    assert found.batches == 3
    assert found.length_us == pytest.approx(10e6, rel=0.1)


def test_a_batch_that_is_not_over_is_none() -> None:
    """Neither is one that was begun before."""
    assert makespan_of(seen(UNEVEN, 8), START) is None
    assert makespan_of(seen([(-4.0, 6.0)], 8), START) is None


def test_short_processes_beside_a_batch_are_not_the_batch() -> None:
    """The batch is still under way: what ended is something else."""
    lives = [*UNEVEN, (1.2, 1.21), (20.0, 20.01), (21.0, 21.02)]
    found = makespan_of(seen(lives, 24), START)
    assert found is not None
    assert found.length_us == pytest.approx(10e6, rel=0.08)
    assert makespan_of(seen([(1.0, 30.0), (2.0, 2.01)], 10), START) is None


def test_a_shell_that_lives_on_is_part_of_no_batch() -> None:
    """Its age does not matter, nor whether it is runnable."""
    found = makespan_of(seen([*UNEVEN, (-100.0, 1000.0)], 13), START)
    assert found is not None
    assert found.length_us == pytest.approx(10e6, rel=0.08)


def test_a_batch_whose_last_process_only_sleeps_is_not_over() -> None:
    """It is runnable again an interval later, and then it is known to go on."""
    told = seen(UNEVEN, 9)
    for number in (-3, -1):
        observation, [part] = told[number]
        told[number] = (observation, [replace(part, open_jobs_hist=())])
    assert makespan_of(told, START) is None
