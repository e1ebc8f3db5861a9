# SPDX-License-Identifier: GPL-2.0-or-later
"""The C examples of the kernel's tools/sched_ext, unchanged, in the simulator.

They are built with the project's own <scx/common.bpf.h>, like any candidate: the kernel's header
takes its constants from variables that libbpf's userspace sets at load time.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from process import Fault
from simulator.run import Ended, NativeScheduler
from simulator.scenario import (
    MS,
    SCENARIOS,
    Cgroup,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Task,
    WeightChange,
    service,
)

from .conftest import Workbench
from .kernel_source import examples

CPUS = 4
SLICE = "20000000"
# Values that their loaders set.
PARAMETERS: dict[str, tuple[tuple[str, str], ...]] = {
    "scx_simple": (),
    "scx_cpu0": (),
    "scx_sdt": (),
    "scx_central": (("nr_cpu_ids", str(CPUS)), ("slice_ns", SLICE)),
    "scx_flatcg": (("nr_cpus", str(CPUS)), ("cgrp_slice_ns", SLICE)),
    "scx_qmap": (("slice_ns", SLICE), ("max_tasks", "4096"), ("round_robin_ns", "200000000")),
    "scx_pair": (
        ("nr_cpu_ids", str(CPUS)),
        ("pair_batch_dur_ns", SLICE),
        ("pair_ctx.max_entries", str(CPUS // 2)),
        *((f"pair_cpu[{cpu}]", str((cpu + CPUS // 2) % CPUS)) for cpu in range(CPUS)),
        *((f"pair_id[{cpu}]", str(cpu % (CPUS // 2))) for cpu in range(CPUS)),
        *((f"in_pair_idx[{cpu}]", str(cpu // (CPUS // 2))) for cpu in range(CPUS)),
    ),
}
# Why an example cannot be simulated.
MISSING = {
    "scx_userland": (
        (("num_possible_cpus", str(CPUS)), ("usersched_pid", "1000")),
        "not modelled: userspace's part of the scheduler, which fills the map dispatched",
    )
}


@pytest.fixture(scope="session")
def folder() -> Path:
    try:
        return examples(ensure(recipe_for(project_root()), lambda _: None))
    except Fault as fault:
        pytest.skip(f"the kernel's examples cannot be fetched: {fault}")


def candidate(bench: Workbench, folder: Path, name: str) -> NativeScheduler:
    headers = tuple(sorted(folder.glob(f"{name}*.h")))
    return bench.make(folder / f"{name}.bpf.c", name, headers=headers)


def test_every_example_is_here(folder: Path) -> None:
    """These tests know every example of the kernel."""
    found = {path.name.removesuffix(".bpf.c") for path in folder.glob("*.bpf.c")}
    assert found == {*PARAMETERS, *MISSING}


@pytest.mark.parametrize("workload", [name for name in SCENARIOS if name != "hotplug"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_examples_serve_every_workload(
    bench: Workbench, folder: Path, name: str, workload: str
) -> None:
    """Each example runs unchanged and is not ejected."""
    chosen = replace(candidate(bench, folder, name), parameters=PARAMETERS[name])
    figures = bench.run(
        chosen, replace(SCENARIOS[workload](SimulatedMachine(CPUS)), duration_ns=2000 * MS)
    )
    assert figures.ejection is None
    assert figures.run_ns > 0


@pytest.mark.parametrize("name", MISSING)
def test_what_cannot_be_simulated_says_what_is_missing(
    bench: Workbench, folder: Path, name: str
) -> None:
    """An example that waits for its userspace ends with the name of what userspace would set."""
    parameters, message = MISSING[name]
    chosen = replace(candidate(bench, folder, name), parameters=parameters)
    ejection = bench.run(
        chosen, replace(service(SimulatedMachine(CPUS)), duration_ns=60_000 * MS)
    ).ejection
    assert ejection is not None
    assert (ejection.kind, ejection.message) == (Ended.NOT_MODELLED, message)


def test_cgroups_get_what_their_weights_say(bench: Workbench, folder: Path) -> None:
    """flatcg divides the machine by the tree of cgroups, also after a weight has changed."""
    hog = (Run(5 * MS), Repeat())
    scenario = Scenario(
        "tree",
        (
            Task("a", hog, count=4, cgroup="/a"),
            Task("b", hog, count=8, cgroup="/b/deep"),
            Task("c", hog, count=8, cgroup="/c"),
        ),
        SimulatedMachine(CPUS),
        (WeightChange(0, "/c", 50),),
        duration_ns=20_000 * MS,
        cgroups=(Cgroup("/a"), Cgroup("/b", 250), Cgroup("/b/deep"), Cgroup("/c")),
    )
    chosen = replace(candidate(bench, folder, "scx_flatcg"), parameters=PARAMETERS["scx_flatcg"])
    figures = bench.run(chosen, scenario)
    assert figures.ejection is None
    for group, weight in {"a": 100, "b": 250, "c": 50}.items():
        share = figures.group(group).run_ns / figures.run_ns
        assert share == pytest.approx(weight / 400, rel=0.1)
