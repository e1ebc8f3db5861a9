# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a cgroup uses more CPU time than its `cpu.max` allows.

Under the kernel's own scheduler none can. Under another one each can that it does not hold back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bpf.kernel.controls import GroupControls
from daemon.decide.observation import Observation, QuotaUse

# Beyond the quota by this fraction and by this much, of one CPU, a group exceeds it. The border of
# an interval may cut a period, which adds at most one period's quota.
TOLERATED = 0.10
FLOOR_CPUS = 0.05
# From this much observed time on a trial is ended for it, microseconds.
LEAST_US = 2_000_000.0
# A reading that spans this much more than its interval, seconds, belongs to others too.
LATE_S = 1.0


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A group that used `cpus`, of which its quota allows `allowed`."""

    group: str
    cpus: float
    allowed: float

    @property
    def reason(self) -> str:
        name = GroupControls(self.group).name
        return f"{name} used {self.cpus:.2f} CPUs; its cpu.max allows {self.allowed:.2f}"


def exceeds(use: QuotaUse) -> bool:
    """Whether more was used than the quota allows, with room for the borders and the burst."""
    quota = use.quota
    allowed_us = (1 + TOLERATED) * quota.cpus * use.span_us + FLOOR_CPUS * use.span_us
    return use.used_us > allowed_us + quota.quota_us + quota.burst_us


def exceeded(observations: Iterable[Observation], *, least_us: float = LEAST_US) -> list[Exceeded]:
    """The groups that used more than their quota in these intervals together.

    One whose quota changed meanwhile is judged from the change on.
    """
    total: dict[str, QuotaUse] = {}
    for observation in observations:
        for use in observation.quotas:
            if use.span_us > (observation.interval_s + LATE_S) * 1e6:
                continue
            known = total.get(use.group)
            total[use.group] = use.after(known) if known and known.quota == use.quota else use
    return [
        Exceeded(use.group, use.used_us / use.span_us, use.quota.cpus)
        for use in total.values()
        if use.span_us >= least_us and exceeds(use)
    ]
