# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler that says it honours cgroups' weights, quotas or idle groups has to do so."""

from dataclasses import replace
from pathlib import Path

import pytest

from bpf.kernel.controls import ResourceControl
from simulator.controls import ALLOWANCES, CONTROLS, SHARES, control_set
from simulator.honoured import broken, longest_wait_ns
from simulator.run import CgroupFigures, SimulationFigures, simulate
from simulator.scenario import S
from simulator.stress import LONGEST_WAIT_NS, STRESS_MACHINE
from tests.target import Target

from .conftest import Prover

# Has the callbacks for weights and quotas, and does nothing in them.
DEAF = Path(__file__).parents[1] / "bpf" / "schedulers" / "deaf.bpf.c"

ASKED = {
    ResourceControl.WEIGHT: ["cgroup_weights", "cgroup_weight_levels", "cgroup_weight_changes"],
    ResourceControl.MAX: ["cgroup_quota", "cgroup_quota_alone", "cgroup_quota_changes"],
    ResourceControl.IDLE: ["cgroup_idle"],
}


def names(callbacks: set[str]) -> list[str]:
    return [each.name for each in control_set(STRESS_MACHINE, callbacks)]


@pytest.mark.parametrize("control", list(ASKED))
def test_only_what_has_the_callback_is_asked(control: ResourceControl) -> None:
    """Each control has its scenarios, for schedulers that say they honour it."""
    assert names({control.callback, "cgroup_init", "cgroup_move"}) == ASKED[control]


def test_one_that_honours_nothing_is_asked_nothing() -> None:
    """Callbacks for cgroups alone claim nothing about weights, quotas or idle groups."""
    assert names({"cgroup_init", "cgroup_exit", "cgroup_move"}) == []


def test_one_that_honours_all_is_asked_all() -> None:
    """The scenarios of each callback, one after the other, and no other one exists."""
    callbacks = {control.callback for control in ResourceControl}
    assert names(callbacks) == [name for several in ASKED.values() for name in several]
    assert names(callbacks) == list(CONTROLS)


@pytest.mark.parametrize("name", list(CONTROLS))
def test_the_default_scheduler_honours_all(target: Target, name: str) -> None:
    """The kernel's own scheduler passes what is required of others."""
    scenario = CONTROLS[name](STRESS_MACHINE)
    figures = simulate(None, scenario, btf=target.btf, cache_folder=target.cache)
    assert broken(name, figures) is None
    bound = longest_wait_ns(name)
    assert bound is not None
    assert max(group.longest_wait_ns for group in figures.groups) < bound


@pytest.mark.parametrize("cpus", [2, 16])
@pytest.mark.parametrize("name", list(CONTROLS))
def test_they_can_be_honoured_on_other_machines(target: Target, name: str, cpus: int) -> None:
    """What is due to a cgroup does not depend on the number of CPUs, as long as there are two."""
    scenario = CONTROLS[name](replace(STRESS_MACHINE, cpus=cpus, llc_cpus=0))
    figures = simulate(None, scenario, btf=target.btf, cache_folder=target.cache)
    assert broken(name, figures) is None


def test_the_scenarios_are_long_enough_for_their_bounds() -> None:
    """A task that is lost when the settings change, or that never has a turn, waits too long."""
    for name, make in CONTROLS.items():
        scenario, bound = make(STRESS_MACHINE), longest_wait_ns(name)
        assert bound is not None
        if name == "cgroup_quota_changes":
            assert scenario.duration_ns - scenario.changes[0].at_ns > bound
        if name == "cgroup_idle":
            assert scenario.duration_ns > bound == LONGEST_WAIT_NS
    assert longest_wait_ns("quiet") is None


def test_one_that_only_has_the_callbacks_fails_with_the_place(prover: Prover) -> None:
    """The share that it gave, the share that was due, and the callback that does nothing."""
    proof = prover.prove(DEAF)
    assert not proof.passed
    (found,) = [each for each in proof.findings if each.severity == "error"]
    assert found.scenario == "cgroup_weights"
    assert "its share is 8 %" in found.message
    assert "cgroup_set_weight" in found.cause
    assert found.line
    assert "deaf_set_weight" in DEAF.read_text().splitlines()[found.line - 1]


def test_a_quota_that_limits_nothing_fails_with_the_figures(prover: Prover, tmp_path: Path) -> None:
    """One that has only the callback for quotas is asked about quotas only."""
    source = tmp_path / "loose.bpf.c"
    plain = DEAF.read_text().replace(".cgroup_set_weight = (void *)deaf_set_weight,", "")
    source.write_text(plain)
    proof = prover.prove(source)
    (found,) = [each for each in proof.findings if each.severity == "error"]
    assert found.scenario == "cgroup_quota"
    assert "its cpu.max allows 2.00 s" in found.message
    assert "cgroup_set_bandwidth" in found.cause


def figures(**run_s: float) -> SimulationFigures:
    """Ten seconds of four CPUs, and the CPU time of each cgroup in seconds; `/sp-rest` has what the
    others leave."""
    parents = {"more": "/sp-above", "less": "/sp-above", "below": "/sp-above"}
    groups = {f"{parents.get(name, '')}/sp-{name}": int(run * S) for name, run in run_s.items()}
    return SimulationFigures(
        scheduler="x",
        seed=1,
        cpus=4,
        time_ns=10 * S,
        run_ns=40 * S,
        idle_ns=0,
        switches=0,
        events=0,
        ringbuf_bytes=0,
        ejection=None,
        groups=(),
        cgroups=tuple(
            CgroupFigures(path=path, own_run_ns=run, run_ns=run) for path, run in groups.items()
        ),
    )


QUOTA = {"limited": 2.0, "above": 2.0, "burst": 2.0}
CHANGES = {"raised": 5.6, "late": 1.2, "lifted": 8.0}


@pytest.mark.parametrize(
    ("name", "run_s", "honoured"),
    [
        ("cgroup_weights", {"weight100": 3.1, "weight300": 9.2, "weight900": 27.7}, True),
        ("cgroup_weights", {"weight100": 5, "weight300": 11, "weight900": 24}, True),
        ("cgroup_weights", {"weight100": 8, "weight300": 9, "weight900": 23}, False),
        ("cgroup_weights", {"weight100": 0, "weight300": 0, "weight900": 0}, False),
        ("cgroup_weight_levels", {"flat": 20, "more": 15, "less": 5}, True),
        ("cgroup_weight_levels", {"flat": 24.5, "more": 11.7, "less": 3.8}, False),
        ("cgroup_weight_levels", {"flat": 20, "more": 10, "less": 10}, False),
        ("cgroup_weight_changes", {"falls": 11, "rises": 19, "new": 10}, True),
        ("cgroup_weight_changes", {"falls": 32, "rises": 6, "new": 2}, False),
        ("cgroup_weight_changes", {"falls": 14, "rises": 23, "new": 3}, False),
        ("cgroup_quota", QUOTA, True),
        ("cgroup_quota", QUOTA | {"limited": 2.2}, True),
        ("cgroup_quota", QUOTA | {"limited": 2.4}, False),
        ("cgroup_quota", QUOTA | {"limited": 0.9}, False),
        ("cgroup_quota", QUOTA | {"above": 8.0}, False),
        ("cgroup_quota", QUOTA | {"burst": 4.0}, False),
        ("cgroup_quota_alone", {"alone": 2.0, "waking": 2.0}, True),
        ("cgroup_quota_alone", {"alone": 20.0, "waking": 2.0}, False),
        ("cgroup_quota_alone", {"alone": 2.0, "waking": 10.0}, False),
        ("cgroup_quota_changes", CHANGES, True),
        ("cgroup_quota_changes", CHANGES | {"raised": 2.0}, False),
        ("cgroup_quota_changes", CHANGES | {"late": 2.0}, False),
        ("cgroup_quota_changes", CHANGES | {"lifted": 2.0}, False),
        ("cgroup_idle", {"idle": 0.1, "turned": 10.0}, True),
        ("cgroup_idle", {"idle": 5.0, "turned": 10.0}, False),
        ("cgroup_idle", {"idle": 0.1, "turned": 0.2}, False),
    ],
)
def test_each_control_has_its_bound(name: str, run_s: dict[str, float], honoured: bool) -> None:
    """A share within ten points, a quota within a tenth, and little for an idle cgroup."""
    found = broken(name, figures(**run_s))
    assert (found is None) is honoured
    if found is not None:
        assert found.message
        assert found.cause
        assert found.fix
        assert found.callback in {control.callback for control in ResourceControl}


def test_each_expectation_is_about_a_cgroup_of_its_scenario() -> None:
    """The shares and allowances name cgroups that exist there, each with words for a message."""
    for table in (SHARES, ALLOWANCES):
        for name, several in table.items():
            paths = {each.path for each in CONTROLS[name](STRESS_MACHINE).cgroups}
            assert {each.path for each in several} <= paths
            assert all(each.said for each in several)
    for due in SHARES.values():
        assert sum(each.part for each in due) == pytest.approx(1)
