# SPDX-License-Identifier: GPL-2.0-or-later
"""When work may be done ahead, decided over recorded intervals."""

from functools import reduce

import pytest

from daemon.decide.preparing import Interval, Turn, again, step

IDLE = Interval(utilisation=0.1, cpus=2, runnable=1, stalled=0.0)
FULL = Interval(utilisation=1.0, cpus=2, runnable=8, stalled=0.9)
ON_THE_LINE = Interval(utilisation=0.85, cpus=2, runnable=2, stalled=0.3)
OURS = Interval(utilisation=1.0, cpus=2, runnable=4, stalled=0.9, own=True)
OURS_AND_THEIRS = Interval(utilisation=1.0, cpus=2, runnable=10, stalled=0.9, own=True)


def after(*intervals: Interval, turn: Turn | None = None) -> Turn:
    return reduce(step, intervals, turn or Turn())


def test_it_begins_after_calm_intervals_in_a_row() -> None:
    """One calm interval may be chance; a busy one restarts the count."""
    assert not after().open
    assert not after(IDLE).open
    assert not after(IDLE, FULL, IDLE).open
    assert after(IDLE, IDLE).open


def test_it_pauses_after_busy_intervals_in_a_row() -> None:
    """A burst does not interrupt; a lasting load does, and calm lets it go on."""
    working = after(IDLE, IDLE)
    assert after(FULL, turn=working).open
    assert after(FULL, IDLE, FULL, turn=working).open
    paused = after(FULL, FULL, turn=working)
    assert not paused.open
    assert after(IDLE, IDLE, turn=paused).open


def test_a_load_on_the_line_changes_nothing() -> None:
    """Between calm and busy, the state stays as it was."""
    many = [ON_THE_LINE] * 20
    assert not after(*many).open
    assert after(*many, turn=after(IDLE, IDLE)).open


def test_its_own_load_is_no_reason_to_pause() -> None:
    """All CPUs may be busy with it; more tasks than it can have are somebody else's."""
    working = after(IDLE, IDLE)
    assert after(*[OURS] * 20, turn=working).open
    assert not after(OURS_AND_THEIRS, OURS_AND_THEIRS, turn=working).open


@pytest.mark.parametrize("cpus", [1, 2, 4, 16, 64])
def test_four_busy_processes_a_cpu_pause_it_on_every_machine(cpus: int) -> None:
    """An overload counts, whether it begins before the work or during it."""
    for own in (False, True):
        load = Interval(utilisation=1.0, cpus=cpus, runnable=4 * cpus, stalled=None, own=own)
        assert not after(load, load, turn=after(IDLE, IDLE)).open


def test_without_pressure_figures_spare_cpus_decide() -> None:
    """A kernel without PSI is no obstacle."""
    bare = Interval(utilisation=0.2, cpus=1, runnable=1, stalled=None)
    assert after(bare, bare).open


def test_a_slow_machine_is_tried_a_bounded_number_of_times() -> None:
    """Work that is never finished in time is not started again and again."""
    tries = 0
    while again(tries):
        tries += 1
        assert tries < 100
    assert tries > 1
