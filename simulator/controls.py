# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios of cgroups' weights, quotas and idle groups, for schedulers that say they honour them.

A scheduler says so by its callbacks (`ResourceControl.callback`); one without a callback ignores
that control, which the gate `controls` tells of where a machine uses it. So each scenario is only
for those that have its callback, and those have to get it right (`simulator.honoured` judges).

Several mistakes share a scenario where they do not hide each other: each cgroup has its figures.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from bpf.kernel.controls import ResourceControl
from simulator.scenario import (
    MS,
    US,
    Bandwidth,
    BandwidthChange,
    Cgroup,
    Enter,
    IdleChange,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Step,
    Task,
    WeightChange,
)
from simulator.stress import LONGEST_WAIT_NS

# Long enough for a hundred turns of the longest slices that are accepted.
LASTS_NS = 10 * S
QUOTA = Bandwidth(20 * MS, 100 * MS)
RAISED = Bandwidth(80 * MS, 100 * MS)
# When the settings of `cgroup_quota_changes` change, and for how long its tasks may wait: as in any
# scenario (`stress.GRACE_NS`), and a second more for debts of long slices.
CHANGED_NS = 4 * S
CHANGES_WAIT_NS = 5 * S
# An idle cgroup that never has a turn has waited too long by then.
IDLE_LASTS_NS = LONGEST_WAIT_NS + 3 * S


@dataclass(frozen=True)
class DueShare:
    """The part of all CPU time that is due to a cgroup by the weights; `said` describes it."""

    path: str
    said: str
    part: float


@dataclass(frozen=True)
class Allowance:
    """The CPU time that cpu.max allows a cgroup in the whole scenario; `said` describes it."""

    path: str
    said: str
    ns: int


def _busy(
    machine: SimulatedMachine,
    cgroup: str,
    *,
    each: int = 1,
    start_ns: int = 0,
    enters: str = "",
) -> Task:
    """Tasks that never sleep, `each` for each CPU: they could use the whole machine.

    With `enters` they begin in `cgroup`, and move themselves there at once, as services are moved.
    """
    name = (enters or cgroup).rpartition("/")[2].removeprefix("sp-")
    steps: tuple[Step, ...] = (Run(5 * MS, MS), Repeat())
    if enters:
        steps = (Enter(enters), *steps)
    return Task(
        name, steps, comm=f"sp-{name}", cgroup=cgroup, count=each * machine.cpus, start_ns=start_ns
    )


def cgroup_weights(machine: SimulatedMachine) -> Scenario:
    """Three cgroups of cpu.weight 100, 300 and 900; the lightest has most of the tasks."""
    return Scenario(
        "cgroup_weights",
        (
            _busy(machine, "/sp-weight100", each=3),
            _busy(machine, "/sp-weight300"),
            _busy(machine, "/sp-weight900"),
        ),
        machine,
        duration_ns=LASTS_NS,
        cgroups=tuple(Cgroup(f"/sp-weight{each}", each) for each in (100, 300, 900)),
    )


def cgroup_weight_levels(machine: SimulatedMachine) -> Scenario:
    """Two cgroups of equal weight, one of them with two below it and a heavy one that sleeps."""
    asleep = (Sleep(400 * MS, 100 * MS), Run(4 * MS), Repeat())
    return Scenario(
        "cgroup_weight_levels",
        (
            _busy(machine, "/sp-flat"),
            _busy(machine, "/sp-above/sp-more"),
            _busy(machine, "/sp-above/sp-less"),
            Task("asleep", asleep, comm="sp-asleep", cgroup="/sp-above/sp-asleep"),
        ),
        machine,
        duration_ns=LASTS_NS,
        cgroups=(
            Cgroup("/sp-flat"),
            Cgroup("/sp-above"),
            Cgroup("/sp-above/sp-more", 900),
            Cgroup("/sp-above/sp-less", 300),
            Cgroup("/sp-above/sp-asleep", 1800),
        ),
    )


def cgroup_weight_changes(machine: SimulatedMachine) -> Scenario:
    """Weights change places after a quarter of the time; a cgroup is made in the middle of it.

    Tasks begin in the root and are moved into their cgroups.
    """
    quarter, half = LASTS_NS // 4, LASTS_NS // 2
    return Scenario(
        "cgroup_weight_changes",
        (
            _busy(machine, "/", enters="/sp-falls"),
            _busy(machine, "/", enters="/sp-rises"),
            _busy(machine, "/", enters="/sp-new", start_ns=half + MS),
        ),
        machine,
        (WeightChange(quarter, "/sp-falls", 100), WeightChange(quarter, "/sp-rises", 900)),
        LASTS_NS,
        cgroups=(
            Cgroup("/sp-falls", 900),
            Cgroup("/sp-rises", 100),
            Cgroup("/sp-new", 1000, from_ns=half),
        ),
    )


def cgroup_quota(machine: SimulatedMachine) -> Scenario:
    """Cgroups with a quota of 20 % of a CPU want them all, beside one without a quota.

    One has its tasks in a cgroup below that has no quota itself, one may use what is left later.
    """
    return Scenario(
        "cgroup_quota",
        (
            _busy(machine, "/sp-limited"),
            _busy(machine, "/sp-above/sp-below"),
            _busy(machine, "/sp-burst"),
            _busy(machine, "/sp-free"),
        ),
        machine,
        duration_ns=LASTS_NS,
        cgroups=(
            Cgroup("/sp-limited", bandwidth=QUOTA),
            Cgroup("/sp-above", bandwidth=QUOTA),
            Cgroup("/sp-above/sp-below"),
            Cgroup("/sp-burst", bandwidth=Bandwidth(20 * MS, 100 * MS, 20 * MS)),
            Cgroup("/sp-free"),
        ),
    )


def cgroup_quota_alone(machine: SimulatedMachine) -> Scenario:
    """Tasks of cgroups with quotas have a CPU each, and nobody else wants one; some sleep."""
    count = max(machine.cpus // 2, 1)
    waking = (Run(MS, 500 * US), Sleep(MS), Repeat())
    alone = replace(_busy(machine, "/sp-alone"), count=count)
    return Scenario(
        "cgroup_quota_alone",
        (
            alone,
            replace(alone, group="waking", steps=waking, comm="sp-waking", cgroup="/sp-waking"),
        ),
        machine,
        duration_ns=LASTS_NS,
        cgroups=(Cgroup("/sp-alone", bandwidth=QUOTA), Cgroup("/sp-waking", bandwidth=QUOTA)),
    )


def cgroup_quota_changes(machine: SimulatedMachine) -> Scenario:
    """A quota is raised, one is lifted, and a cgroup is emptied and removed, while their tasks are
    held back; another cgroup wants nothing until then.
    """
    mover = (Sleep(CHANGED_NS), Enter("/sp-free", of="sp-gone"))
    return Scenario(
        "cgroup_quota_changes",
        (
            _busy(machine, "/sp-raised"),
            _busy(machine, "/sp-lifted"),
            _busy(machine, "/sp-gone"),
            Task("movers", mover, comm="sp-mover", count=machine.cpus),
            _busy(machine, "/sp-late", start_ns=CHANGED_NS),
            _busy(machine, "/sp-free"),
        ),
        machine,
        (
            BandwidthChange(CHANGED_NS, "/sp-raised", RAISED),
            BandwidthChange(CHANGED_NS, "/sp-lifted", Bandwidth()),
        ),
        CHANGED_NS + CHANGES_WAIT_NS + S,
        cgroups=(
            Cgroup("/sp-raised", bandwidth=QUOTA),
            Cgroup("/sp-lifted", bandwidth=QUOTA),
            Cgroup("/sp-gone", bandwidth=QUOTA, until_ns=CHANGED_NS),
            Cgroup("/sp-late", bandwidth=QUOTA),
            Cgroup("/sp-free"),
        ),
    )


def cgroup_idle(machine: SimulatedMachine) -> Scenario:
    """Two idle cgroups want all CPUs, and so does one that is not idle; one of the two becomes
    usual in the middle.
    """
    return Scenario(
        "cgroup_idle",
        (
            _busy(machine, "/sp-idle"),
            _busy(machine, "/sp-turned"),
            _busy(machine, "/sp-usual"),
        ),
        machine,
        (IdleChange(IDLE_LASTS_NS // 2, "/sp-turned", False),),
        IDLE_LASTS_NS,
        cgroups=(
            Cgroup("/sp-idle", idle=True),
            Cgroup("/sp-turned", idle=True),
            Cgroup("/sp-usual"),
        ),
    )


SHARES: Mapping[str, tuple[DueShare, ...]] = MappingProxyType(
    {
        "cgroup_weights": tuple(
            DueShare(f"/sp-weight{each}", f"a cgroup of cpu.weight {each}", each / 1300)
            for each in (100, 300, 900)
        ),
        # Each half has half; what the sleeper leaves stays in its half.
        "cgroup_weight_levels": (
            DueShare("/sp-flat", "a cgroup of cpu.weight 100 beside another of 100", 1 / 2),
            DueShare(
                "/sp-above/sp-more", "one of 900 beside 300, below one of cpu.weight 100", 3 / 8
            ),
            DueShare(
                "/sp-above/sp-less", "one of 300 beside 900, below one of cpu.weight 100", 1 / 8
            ),
        ),
        # 900:100 for a quarter, 100:900 for a quarter, 100:900:1000 for half of the time.
        "cgroup_weight_changes": (
            DueShare("/sp-falls", "a cgroup whose cpu.weight fell from 900 to 100", 0.275),
            DueShare("/sp-rises", "a cgroup whose cpu.weight rose from 100 to 900", 0.475),
            DueShare("/sp-new", "a cgroup of cpu.weight 1000 that was made meanwhile", 0.25),
        ),
    }
)


def _allowed_ns(bandwidth: Bandwidth, lasts_ns: int) -> int:
    assert bandwidth.quota_ns is not None
    return lasts_ns * bandwidth.quota_ns // bandwidth.period_ns


_WHOLE = _allowed_ns(QUOTA, LASTS_NS)
_AFTER_NS = CHANGES_WAIT_NS + S
ALLOWANCES: Mapping[str, tuple[Allowance, ...]] = MappingProxyType(
    {
        "cgroup_quota": (
            Allowance("/sp-limited", "a cgroup", _WHOLE),
            Allowance("/sp-above", "a cgroup with its tasks in one below", _WHOLE),
            Allowance("/sp-burst", "a cgroup with cpu.max.burst that leaves nothing", _WHOLE),
        ),
        "cgroup_quota_alone": (
            Allowance("/sp-alone", "a cgroup on a machine with idle CPUs", _WHOLE),
            Allowance("/sp-waking", "a cgroup of tasks that sleep, beside idle CPUs", _WHOLE),
        ),
        "cgroup_quota_changes": (
            Allowance(
                "/sp-raised",
                "a cgroup with a quota that was raised",
                _allowed_ns(QUOTA, CHANGED_NS) + _allowed_ns(RAISED, _AFTER_NS),
            ),
            Allowance(
                "/sp-late",
                "a cgroup that wanted nothing before",
                _allowed_ns(QUOTA, _AFTER_NS),
            ),
        ),
    }
)

CONTROLS: Mapping[str, Callable[[SimulatedMachine], Scenario]] = MappingProxyType(
    {
        make.__name__: make
        for make in (
            cgroup_weights,
            cgroup_weight_levels,
            cgroup_weight_changes,
            cgroup_quota,
            cgroup_quota_alone,
            cgroup_quota_changes,
            cgroup_idle,
        )
    }
)
_OF = {
    ResourceControl.WEIGHT: (cgroup_weights, cgroup_weight_levels, cgroup_weight_changes),
    ResourceControl.MAX: (cgroup_quota, cgroup_quota_alone, cgroup_quota_changes),
    ResourceControl.IDLE: (cgroup_idle,),
}


def control_set(machine: SimulatedMachine, callbacks: Collection[str]) -> tuple[Scenario, ...]:
    """The scenarios for a scheduler with these callbacks."""
    return tuple(
        make(machine)
        for control, several in _OF.items()
        if control.callback in callbacks
        for make in several
    )
