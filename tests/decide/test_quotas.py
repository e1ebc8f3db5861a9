# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a cgroup used more than its quota allows."""

from collections.abc import Sequence

import pytest

from bpf.kernel.controls import Quota
from daemon.decide.observation import Observation, QuotaUse
from daemon.decide.quotas import exceeded, exceeds

SHOP = "/system.slice/shop.service"
FIFTH = Quota(20_000, 100_000)


def use(cpus: float, seconds: float = 5.0, quota: Quota = FIFTH, group: str = SHOP) -> QuotaUse:
    return QuotaUse(group, cpus * seconds * 1e6, seconds * 1e6, quota)


def seen(uses: Sequence[QuotaUse], seconds: float = 5.0) -> list[Observation]:
    """An interval for each use."""
    return [Observation(seconds * n, seconds, quotas=(each,)) for n, each in enumerate(uses, 1)]


@pytest.mark.parametrize(
    ("given", "beyond"),
    [
        (use(0.20), False),
        # Within a tenth, or within a twentieth of a CPU.
        (use(0.22), False),
        (use(0.26), False),
        (use(0.61), True),
        (use(1.98), True),
        # The border of a short interval cuts a period.
        (use(0.4, seconds=0.1), False),
        (use(1.6, quota=Quota(150_000, 100_000)), False),
        (use(1.9, quota=Quota(150_000, 100_000)), True),
        # What was saved up may be used, once.
        (use(0.4, quota=Quota(20_000, 100_000, 1_000_000)), False),
        (use(0.4, seconds=60, quota=Quota(20_000, 100_000, 1_000_000)), True),
        # 1 ms of 10 ms is as much as 100 ms of a second.
        (use(0.1, quota=Quota(1000, 10_000)), False),
        (use(0.0), False),
    ],
)
def test_a_quota_is_exceeded_beyond_a_tenth_and_a_floor(given: QuotaUse, beyond: bool) -> None:
    """The limit has room for excess that no scheduler can avoid."""
    assert exceeds(given) is beyond


def test_it_is_told_by_name_and_figures() -> None:
    """The message has the unit, its usage and its limit."""
    (found,) = exceeded(seen([use(0.61)]))
    assert found.reason == "shop.service used 0.61 CPUs; its cpu.max allows 0.20"


def test_intervals_are_judged_together() -> None:
    """One interval of a second says too little: another one may have less usage for its excess."""
    assert exceeded(seen([use(0.61, 1)], 1)) == []
    assert len(exceeded(seen([use(0.61, 1), use(0.61, 1)], 1))) == 1
    assert exceeded(seen([use(0.5, 1), use(0.0, 1), use(0.0, 1)], 1)) == []


def test_a_changed_quota_is_judged_from_the_change_on() -> None:
    """Usage that was allowed before the operator lowered the quota is no excess."""
    lower = Quota(5000, 100_000)
    assert exceeded(seen([use(0.9, quota=Quota(100_000, 100_000)), use(0.05, quota=lower)])) == []
    assert len(exceeded(seen([use(0.2), use(0.9, quota=lower)]))) == 1


def test_a_reading_that_spans_more_than_its_interval_is_left_out() -> None:
    """It includes the time of another scheduler."""
    late = Observation(5.0, 5.0, quotas=(use(0.9, 30),))
    assert exceeded([late]) == []


def test_hostile_names_are_shown_harmlessly() -> None:
    """A path may contain anything."""
    (found,) = exceeded(seen([use(0.9, group="/a/\x1b[2J\udcff.service")]))
    assert found.reason.isprintable()
