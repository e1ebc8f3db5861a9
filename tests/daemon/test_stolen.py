# SPDX-License-Identifier: GPL-2.0-or-later
"""The CPU time that the host takes, from the text of /proc/stat."""

import pytest

from daemon.signals.steal_time import StolenTime, steal_ticks


class Host:
    """Gives /proc/stat after each interval of 100 ticks, with this many stolen."""

    def __init__(self) -> None:
        self.idle = self.steal = 0

    def read(self) -> str:
        return f"cpu  0 0 0 {self.idle} 0 0 0 {self.steal} 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"

    def interval(self, stolen: StolenTime, steal: int) -> float:
        self.steal += steal
        self.idle += 100 - steal
        return stolen.share()


def test_the_figures_of_the_whole_machine_are_read() -> None:
    """Guest time is part of user time and is not counted twice."""
    assert steal_ticks("cpu  10 1 5 80 2 1 1 7 50 3\ncpu0 9 9 9 9 9 9 9 9\nintr 5\n") == (7, 107)
    assert steal_ticks("") == (0, 0)


def test_a_host_that_takes_something_now_and_then_is_noticed() -> None:
    """The share of the interval in which it did."""
    host = Host()
    stolen = StolenTime(host.read)
    assert [host.interval(stolen, n) for n in (0, 0, 40, 0)] == pytest.approx([0, 0, 0.4, 0])


def test_what_is_always_taken_is_the_machine_as_it_is() -> None:
    """Only steal time beyond the usual spoils a window."""
    host = Host()
    stolen = StolenTime(host.read)
    for _ in range(10):
        host.interval(stolen, 20)
    assert host.interval(stolen, 20) == 0
    assert host.interval(stolen, 50) == pytest.approx(0.3)


def test_a_machine_that_does_not_tell_has_lost_nothing() -> None:
    """No /proc/stat, no steal time."""

    def missing() -> str:
        raise OSError

    stolen = StolenTime(missing)
    assert stolen.share() == 0
