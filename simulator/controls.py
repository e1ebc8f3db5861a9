# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of cgroups' weights, quotas and idle groups, for schedulers that say they honour them.

A scheduler says so by its callbacks (`ResourceControl.callback`); one without a callback ignores
that control, which the gate `controls` tells of where a machine uses it. So each scenario is only
for those that have its callback, and those have to get it right.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bpf.kernel.controls import ResourceControl
from simulator.run import SimulationFigures
from simulator.scenario import (
    MS,
    Bandwidth,
    Cgroup,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Task,
)

# Long enough for a hundred turns of the longest slices that are accepted.
LASTS_NS = 10 * S
WEIGHTS = (100, 300, 900)
# How far from its share a cgroup may be, of the whole.
SHARE_TOLERANCE = 0.10
QUOTA = Bandwidth(20 * MS, 100 * MS)
# How far beyond its quota a cgroup may be, as a fraction, beside one period at each end.
QUOTA_TOLERANCE = 0.10
# A cgroup that wants its whole quota gets at least this part of it.
QUOTA_LEAST = 0.5
# What an idle cgroup may have of CPUs that others want: the default gives it 0.3 %.
IDLE_MOST = 0.10


def _busy(machine: SimulatedMachine, group: str, cgroup: str) -> Task:
    """As many tasks as CPUs, which never sleep: they could use the whole machine."""
    steps = (Run(5 * MS, MS), Repeat())
    return Task(group, steps, comm=f"sp-{group}", cgroup=cgroup, count=machine.cpus)


def cgroup_weights(machine: SimulatedMachine) -> Scenario:
    """Three cgroups of cpu.weight 100, 300 and 900, each of which wants all CPUs."""
    return Scenario(
        "cgroup_weights",
        tuple(_busy(machine, f"weight{each}", f"/sp-weight{each}") for each in WEIGHTS),
        machine,
        duration_ns=LASTS_NS,
        cgroups=tuple(Cgroup(f"/sp-weight{each}", each) for each in WEIGHTS),
    )


def cgroup_quota(machine: SimulatedMachine) -> Scenario:
    """A cgroup whose cpu.max is 20 % of a CPU wants them all, beside one without a quota."""
    return Scenario(
        "cgroup_quota",
        (_busy(machine, "limited", "/sp-limited"), _busy(machine, "free", "/sp-free")),
        machine,
        duration_ns=LASTS_NS,
        cgroups=(Cgroup("/sp-limited", bandwidth=QUOTA), Cgroup("/sp-free")),
    )


def cgroup_idle(machine: SimulatedMachine) -> Scenario:
    """An idle cgroup wants all CPUs, and so does one that is not idle."""
    return Scenario(
        "cgroup_idle",
        (_busy(machine, "idle", "/sp-idle"), _busy(machine, "usual", "/sp-usual")),
        machine,
        duration_ns=LASTS_NS,
        cgroups=(Cgroup("/sp-idle", idle=True), Cgroup("/sp-usual")),
    )


CONTROLS: Mapping[str, Callable[[SimulatedMachine], Scenario]] = MappingProxyType(
    {make.__name__: make for make in (cgroup_weights, cgroup_quota, cgroup_idle)}
)
_OF = {
    ResourceControl.WEIGHT: cgroup_weights,
    ResourceControl.MAX: cgroup_quota,
    ResourceControl.IDLE: cgroup_idle,
}


def control_set(machine: SimulatedMachine, callbacks: Collection[str]) -> tuple[Scenario, ...]:
    """The scenarios for a scheduler with these callbacks."""
    return tuple(make(machine) for control, make in _OF.items() if control.callback in callbacks)


@dataclass(frozen=True)
class Broken:
    """A control that a scheduler has the callback for and does not honour, in words."""

    message: str
    cause: str
    fix: str
    callback: str


def broken(scenario: Scenario, figures: SimulationFigures) -> Broken | None:
    """What a scheduler does not honour in one of these scenarios; None in any other."""
    match scenario.name:
        case "cgroup_weights":
            return _weights(figures)
        case "cgroup_quota":
            return _quota(figures)
        case "cgroup_idle":
            return _idle(figures)
    return None


def _weights(figures: SimulationFigures) -> Broken | None:
    run = {each: figures.cgroup(f"/sp-weight{each}").run_ns for each in WEIGHTS}
    total = sum(run.values()) or 1
    off = {each: run[each] / total - each / sum(WEIGHTS) for each in WEIGHTS}
    worst = max(off, key=lambda each: abs(off[each]))
    if abs(off[worst]) <= SHARE_TOLERANCE:
        return None
    return Broken(
        f"a cgroup of cpu.weight {worst} got {100 * run[worst] / total:.0f} % of the CPU time; its "
        f"share is {100 * worst / sum(WEIGHTS):.0f} %",
        "it has cgroup_set_weight and does not divide the CPUs by weight",
        "keep each cgroup's weight from cgroup_init and cgroup_set_weight, and charge a cgroup's "
        "virtual time by used * 100 / weight; or leave the callback out",
        ResourceControl.WEIGHT.callback,
    )


def _quota(figures: SimulationFigures) -> Broken | None:
    assert QUOTA.quota_ns is not None
    used = figures.cgroup("/sp-limited").run_ns
    allowed = figures.time_ns * QUOTA.quota_ns / QUOTA.period_ns
    cpus, of = used / figures.time_ns, QUOTA.quota_ns / QUOTA.period_ns
    said = f"a cgroup whose cpu.max allows {of:.2f} CPUs used {cpus:.2f}"
    if used > (1 + QUOTA_TOLERANCE) * (allowed + 2 * QUOTA.quota_ns):
        return Broken(
            said,
            "it has cgroup_set_bandwidth and does not hold back a cgroup that has used its quota",
            "count what each cgroup uses in a period, and queue its tasks aside until the next "
            "one; or leave the callback out",
            ResourceControl.MAX.callback,
        )
    if used < QUOTA_LEAST * allowed:
        return Broken(
            f"{said}, although it wanted more",
            "a cgroup that was held back is let go too late, or not for each period",
            "let its tasks go at the start of each period, by a timer that is always armed while "
            "somebody is held back",
            ResourceControl.MAX.callback,
        )
    return None


def _idle(figures: SimulationFigures) -> Broken | None:
    part = figures.cgroup("/sp-idle").run_ns / (figures.run_ns or 1)
    if part <= IDLE_MOST:
        return None
    return Broken(
        f"an idle cgroup (cpu.idle) got {100 * part:.0f} % of the CPU time beside one that wanted "
        "all of it",
        "it has cgroup_set_idle and does not let others go first",
        "give an idle cgroup the weight of SCHED_IDLE (3 of 1024), or a queue that is served "
        "last; or leave the callback out",
        ResourceControl.IDLE.callback,
    )
