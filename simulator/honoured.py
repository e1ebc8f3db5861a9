# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a scheduler honours cgroups' weights, quotas and idle groups in the scenarios for them
(`simulator.controls`). Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bpf.kernel.controls import ResourceControl
from simulator.controls import (
    ALLOWANCES,
    CHANGED_NS,
    CHANGES_WAIT_NS,
    CONTROLS,
    QUOTA,
    SHARES,
    Allowance,
    DueShare,
)
from simulator.run import SimulationFigures
from simulator.scenario import S
from simulator.stress import LONGEST_WAIT_NS

# How far from its share a cgroup may be, of the whole.
SHARE_TOLERANCE = 0.10
# How far beyond its quota a cgroup may be, as a fraction, beside one period at each end.
QUOTA_TOLERANCE = 0.10
# A cgroup that wants its whole quota gets at least this part of it.
QUOTA_LEAST = 0.5
# A cgroup without a quota any more gets more than this many times what the quota would allow.
LIFTED_LEAST = 1.5
# What an idle cgroup may have of CPUs that others want: the default gives it 0.3 %.
IDLE_MOST = 0.10
# What a cgroup gets at least that is idle only for half of the time, where a quarter is due to it.
TURNED_LEAST = 0.08


@dataclass(frozen=True)
class Broken:
    """A control that a scheduler has the callback for and does not honour, in words."""

    message: str
    cause: str
    fix: str
    callback: str


def longest_wait_ns(scenario: str) -> int | None:
    """The longest that a task may wait in one of these scenarios; None for any other.

    Those that have to wait there are judged by what they get, so it is long.
    """
    if scenario not in CONTROLS:
        return None
    return CHANGES_WAIT_NS if scenario == "cgroup_quota_changes" else LONGEST_WAIT_NS


def broken(scenario: str, figures: SimulationFigures) -> Broken | None:
    """What a scheduler does not honour in one of these scenarios; None in any other."""
    if scenario in SHARES:
        return _weights(scenario, SHARES[scenario], figures)
    if scenario in ALLOWANCES:
        found = _quotas(scenario, ALLOWANCES[scenario], figures)
        return found or (_lifted(figures) if scenario == "cgroup_quota_changes" else None)
    if scenario == "cgroup_idle":
        return _idle(figures)
    return None


# Why the shares are wrong, and what to do about it.
_WEIGHTS = {
    "cgroup_weights": (
        "it has cgroup_set_weight and does not divide the CPUs by weight",
        "keep each cgroup's weight from cgroup_init and cgroup_set_weight, and charge a cgroup's "
        "virtual time, which all its tasks share, by used * 100 / weight; or leave the callback "
        "out",
    ),
    "cgroup_weight_levels": (
        "weights are compared with those of other levels of the tree, or with those of siblings "
        "that sleep",
        "a cgroup's share is its weight among those of its siblings that want the CPU, times the "
        "share of its parent, and so on up to the root",
    ),
    "cgroup_weight_changes": (
        "a weight is read only once, or a task keeps that of the cgroup in which it began",
        "take a cgroup's weight anew in cgroup_set_weight, and look up the cgroup of a task anew "
        "in cgroup_move",
    ),
}


def _weights(scenario: str, due: Sequence[DueShare], figures: SimulationFigures) -> Broken | None:
    run = {each: figures.cgroup(each.path).run_ns for each in due}
    total = figures.run_ns or 1
    worst = max(due, key=lambda each: abs(run[each] / total - each.part))
    got = run[worst] / total
    if abs(got - worst.part) <= SHARE_TOLERANCE:
        return None
    cause, fix = _WEIGHTS[scenario]
    return Broken(
        f"{worst.said} got {100 * got:.0f} % of the CPU time; its share is "
        f"{100 * worst.part:.0f} %",
        cause,
        fix,
        ResourceControl.WEIGHT.callback,
    )


# Why a cgroup may have used too much, and what to do about it.
_QUOTAS = {
    "/sp-above": (
        "a quota limits only the cgroup's own tasks, not those of cgroups below",
        "charge what a task uses to its cgroup and to each one above, and hold it back if any of "
        "them has used its quota",
    ),
    "/sp-burst": (
        "cpu.max.burst is added to the quota of each period",
        "refill by the quota alone; what was not used may be kept, up to quota and burst together",
    ),
    "/sp-alone": (
        "a task of a cgroup that has used its quota goes on where nobody else wants the CPU",
        "charge running tasks in tick as well, and end their slice there; set SCX_OPS_ENQ_LAST, "
        "or the kernel lets the last task go on without asking",
    ),
    "/sp-waking": (
        "a task that wakes takes an idle CPU although its cgroup has used its quota: without a "
        "select_cpu of its own the kernel puts it there past enqueue",
        "have a select_cpu that chooses a CPU and inserts nothing for a cgroup that is held back",
    ),
    "/sp-late": (
        "quota that is not used adds up without a limit",
        "refill to the quota (and cpu.max.burst) at most: "
        "`left = min(left + quota, quota + burst)`",
    ),
}
_HOLDS_NOBODY = (
    "it has cgroup_set_bandwidth and does not hold back a cgroup that has used its quota",
    "count what each cgroup uses in a period on all CPUs, queue its tasks aside until the next "
    "one, and take from the next quota what it used too much; or leave the callback out",
)
_HOLDS_TOO_LONG = (
    "a cgroup that was held back is let go too late, or not for each period",
    "let its tasks go at the start of each period, by a timer that is always armed while somebody "
    "is held back, and take the new quota in cgroup_set_bandwidth",
)


def _quotas(
    scenario: str, allowances: Sequence[Allowance], figures: SimulationFigures
) -> Broken | None:
    assert QUOTA.quota_ns is not None
    for each in allowances:
        used = figures.cgroup(each.path).run_ns
        cause, fix = "", ""
        if used > (1 + QUOTA_TOLERANCE) * (each.ns + 2 * QUOTA.quota_ns):
            cause, fix = _QUOTAS.get(each.path, _HOLDS_NOBODY)
        elif used < QUOTA_LEAST * each.ns:
            cause, fix = _HOLDS_TOO_LONG
        if cause:
            return Broken(
                f"{each.said}: it used {used / S:.2f} s of CPU time, and its cpu.max allows "
                f"{each.ns / S:.2f} s",
                cause,
                fix,
                ResourceControl.MAX.callback,
            )
    return None


def _lifted(figures: SimulationFigures) -> Broken | None:
    assert QUOTA.quota_ns is not None
    used = figures.cgroup("/sp-lifted").run_ns
    allowed = figures.time_ns * QUOTA.quota_ns // QUOTA.period_ns
    if used > LIFTED_LEAST * allowed:
        return None
    return Broken(
        f"a cgroup whose quota was lifted after {CHANGED_NS / S:.0f} s used {used / S:.2f} s of "
        f"CPU time; the quota would have allowed {allowed / S:.2f} s",
        "it does not hear that a quota is lifted, or takes `max` for a number",
        "in cgroup_set_bandwidth a quota of (u64)-1 is none: stop counting, and let tasks go that "
        "are held back",
        ResourceControl.MAX.callback,
    )


def _idle(figures: SimulationFigures) -> Broken | None:
    whole = figures.run_ns or 1
    part = figures.cgroup("/sp-idle").run_ns / whole
    if part > IDLE_MOST:
        return Broken(
            f"an idle cgroup (cpu.idle) got {100 * part:.0f} % of the CPU time beside others that "
            "wanted all of it",
            "it has cgroup_set_idle and does not let others go first",
            "give an idle cgroup the weight of SCHED_IDLE (3 of 1024), or a queue that is served "
            "last except for a turn now and then; or leave the callback out",
            ResourceControl.IDLE.callback,
        )
    turned = figures.cgroup("/sp-turned").run_ns / whole
    if turned < TURNED_LEAST:
        return Broken(
            f"a cgroup that is no longer idle got {100 * turned:.0f} % of the CPU time",
            "cpu.idle is read only once, or only when it is set",
            "take it anew in cgroup_set_idle, both when it is set and when it is cleared",
            ResourceControl.IDLE.callback,
        )
    return None
