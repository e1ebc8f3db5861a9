# SPDX-License-Identifier: GPL-2.0-or-later
"""Scenarios: what is refused before it reaches the engine."""

from dataclasses import replace

import pytest

from process import Fault, FaultType
from simulator.scenario import (
    SCENARIOS,
    Affine,
    CpuChange,
    Fork,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Wake,
)

GOOD = Scenario("good", (Task("a", (Run(1000), Sleep(1000), Repeat())),))


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("cpus", [1, 2, 65, 512])
def test_every_usual_workload_fits_every_machine(name: str, cpus: int) -> None:
    """The usual workloads are within the engine's bounds on small and large machines."""
    scenario = SCENARIOS[name](SimulatedMachine(cpus))
    assert scenario.name == name
    assert scenario.text().startswith(f"machine {cpus} 1 {cpus} {cpus} ")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (replace(GOOD, machine=SimulatedMachine(0)), "CPUs"),
        (replace(GOOD, machine=SimulatedMachine(513)), "CPUs"),
        (replace(GOOD, machine=SimulatedMachine(tick_ns=1)), "tick"),
        (replace(GOOD, duration_ns=0), "lasts"),
        (replace(GOOD, seed=-1), "seed"),
        (replace(GOOD, changes=(CpuChange(0, 9, online=False),)), "CPU 9"),
        (replace(GOOD, tasks=(Task("a b", (Run(1),)),)), "name"),
        (replace(GOOD, tasks=(Task("a", (Run(1),), comm="x\ny"),)), "name"),
        (replace(GOOD, tasks=(Task("a", (Run(1),)),) * 2), "same name"),
        (replace(GOOD, tasks=(Task("a", (Run(1),), nice=20),)), "nice"),
        (replace(GOOD, tasks=(Task("a", (Run(1),), count=200_001),)), "more than"),
        (replace(GOOD, tasks=(Task("a", ()),)), "steps"),
        (replace(GOOD, tasks=(Task("a", (Run(1, 2),)),)), "spread"),
        (replace(GOOD, tasks=(Task("a", (Wake("b"),)),)), "no task b"),
        (replace(GOOD, tasks=(Task("a", (Fork("b"),)),)), "no task b"),
        (replace(GOOD, tasks=(Task("a", (Repeat(), Run(1))),)), "last"),
        (replace(GOOD, tasks=(Task("a", (Run(1),), cpus=(4,)),)), "CPU"),
        (replace(GOOD, tasks=(Task("a", (Affine((-1,)), Run(1))),)), "CPU"),
    ],
)
def test_a_scenario_out_of_bounds_is_refused_with_its_reason(bad: Scenario, why: str) -> None:
    """A scenario that the engine cannot run, or would read as other words, is a bad request."""
    with pytest.raises(Fault) as fault:
        bad.text()
    assert fault.value.type is FaultType.BAD_REQUEST
    assert why in fault.value.what
