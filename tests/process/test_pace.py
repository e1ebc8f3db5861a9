# SPDX-License-Identifier: GPL-2.0-or-later
"""Time limits follow the measured speed of the machine."""

import asyncio
from dataclasses import dataclass, field

import pytest

from process import Fixed, Limit, Pace, measure, within
from process import pace as pace_module
from process.pace import MOST, REFERENCE_S


@dataclass
class Machine:
    """A clock that moves only when told to, on a machine that is this many times slower."""

    slower: float = 1.0
    busier: float = 1.0
    now: float = 100.0
    measured: int = field(default=0)

    def clock(self) -> float:
        return self.now

    def pace(self) -> Pace:
        self.measured += 1
        cpu_s = REFERENCE_S * self.slower
        return Pace(cpu_s, cpu_s * self.busier)

    def limit(self, seconds: float | Fixed) -> Limit:
        return Limit(seconds, measured=self.pace, clock=self.clock)

    def lasts(self, limit: Limit) -> float:
        """Seconds until the limit is reached, asked as a waiting caller asks."""
        began = self.now
        while left := limit.left():
            self.now += left
        return self.now - began


def test_on_the_machine_it_was_made_on_a_limit_is_what_it_says() -> None:
    """Nothing is added if nothing is slow."""
    machine = Machine()
    assert machine.lasts(machine.limit(10)) == pytest.approx(10)


@pytest.mark.parametrize(("slower", "busier"), [(3.0, 1.0), (1.0, 3.0), (2.0, 2.5)])
def test_a_limit_lasts_longer_by_the_measured_factor(slower: float, busier: float) -> None:
    """Slow CPUs and other work count alike, and together."""
    machine = Machine(slower, busier)
    lasted = machine.lasts(machine.limit(10))
    assert lasted == pytest.approx(10 * slower * busier, rel=0.06)


def test_a_limit_follows_load_that_comes_and_goes() -> None:
    """Each stretch of time counts with the speed measured at its end."""
    machine = Machine(busier=4)
    limit = machine.limit(10)
    machine.now += limit.left()
    assert limit.left() == pytest.approx(30)  # a quarter of the work is done, at this pace
    machine.now += 30
    machine.busier = 1
    assert limit.left() == 0  # all of it was done at full speed meanwhile


def test_nothing_is_measured_before_a_limit_is_reached() -> None:
    """Work that ends in time pays nothing."""
    machine = Machine()
    limit = machine.limit(10)
    machine.now += 9
    assert limit.left() == pytest.approx(1)
    assert machine.measured == 0


def test_what_hangs_ends_on_the_slowest_machine() -> None:
    """Every limit has an upper bound."""
    machine = Machine(slower=1000)
    assert machine.lasts(machine.limit(10)) <= 10 * MOST * 1.01


def test_a_limit_that_a_person_gave_is_kept_to() -> None:
    """`--timeout 10` is ten seconds."""
    machine = Machine(slower=5)
    assert machine.lasts(machine.limit(Fixed(10))) == pytest.approx(10)


def test_a_slow_machine_is_told_of_in_words() -> None:
    """Somebody who waits learns why, with the factor."""
    assert Pace(REFERENCE_S, REFERENCE_S).words() == ""
    slow = Pace(3 * REFERENCE_S, 3 * REFERENCE_S).words()
    assert "3 times slower" in slow
    assert "3 times longer" in slow
    assert "busy" in Pace(REFERENCE_S, 2 * REFERENCE_S).words()


def test_the_machine_can_be_measured() -> None:
    """The fixed work really runs, and its times are consistent."""
    pace = measure()
    assert 0 < pace.cpu_s <= pace.wall_s
    assert 1 <= pace.factor <= MOST


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine looks three times slower to limits."""
    monkeypatch.setattr(pace_module, "measure", Machine(slower=3).pace)


@pytest.mark.usefixtures("slow")
def test_work_that_needs_longer_is_given_it_on_a_slow_machine() -> None:
    """`within` lets a block go on beyond its seconds if the machine is slower."""

    async def work() -> str:
        async with within(0.05):
            await asyncio.sleep(0.1)
            return "done"

    assert asyncio.run(work()) == "done"


def test_work_that_hangs_is_ended() -> None:
    """`within` raises TimeoutError, as `asyncio.timeout` does."""

    async def work() -> None:
        async with within(Fixed(0.05)):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(work())


def test_limits_of_cpu_time_never_shrink() -> None:
    """A fast machine gets the whole limit."""
    assert 1 <= pace_module.cpu_factor() <= MOST
