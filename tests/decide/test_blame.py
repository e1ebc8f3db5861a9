# SPDX-License-Identifier: GPL-2.0-or-later
"""Which ejections count against a scheduler."""

import pytest

from daemon.decide.blame import LEASE, excuse
from daemon.lifecycle.attachment import LEASE_RAN_OUT


@pytest.mark.parametrize(
    ("reason", "ran_s", "because"),
    [
        ("fair was thrown out: runtime error: RCU CPU stall on CPUs ()", 100.0, "no CPU"),
        ("runtime error: RCU CPU stall on CPUs (1)", 3.0, "before the scheduler ran"),
        ("runtime error: RCU CPU stall on CPUs (0-1)", 0.0, "before the scheduler ran"),
        ("runtime error: soft lockup - CPU 1 stuck for 44s", 12.0, "before the scheduler ran"),
        ("runnable task stall: cc1[42] failed to run for 31.5s", 4.0, "waited since before"),
    ],
)
def test_what_began_before_or_names_no_cpu_is_excused(
    reason: str, ran_s: float, because: str
) -> None:
    """An excused ejection has a reason that says why."""
    assert because in excuse(reason, ran_s)


@pytest.mark.parametrize(
    ("reason", "ran_s"),
    [
        ("runtime error: RCU CPU stall on CPUs (1)", 60.0),
        ("runtime error: soft lockup - CPU 1 stuck for 44s", 50.0),
        ("runnable task stall: cc1[42] failed to run for 31.5s", 40.0),
        ("runnable task stall: cc1[42] failed to run for 5.2s", 1.0),
        ("runtime error: invalid DSQ 0x7", 0.0),
        ("BPF runtime error: no queue for CPU ()", 0.0),
        ("its lease ran out", 1.0),
        ("", 0.0),
    ],
)
def test_what_a_scheduler_did_itself_is_not_excused(reason: str, ran_s: float) -> None:
    """It ran long enough, or the kernel has something else against it."""
    assert excuse(reason, ran_s) == ""


def test_a_lease_that_ran_out_is_excused_where_the_machine_is_late_anyway() -> None:
    """A daemon without a CPU cannot renew the lease; that counts against the scheduler only if it
    did not happen before."""
    reason = "its lease ran out: the daemon was not given the time to renew it"
    assert excuse(reason, 100.0) == ""
    assert "without it, too" in excuse(reason, 100.0, late_s=2.5)
    assert LEASE_RAN_OUT.startswith(LEASE)
