# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler that says it honours cgroups' weights, quotas or idle groups has to do so."""

from pathlib import Path

import pytest

from bpf.kernel.controls import ResourceControl
from simulator.controls import CONTROLS, broken, control_set
from simulator.run import CgroupFigures, SimulationFigures, simulate
from simulator.scenario import S
from simulator.stress import STRESS_MACHINE
from tests.target import Target

from .conftest import Prover

# Has the callbacks for weights and quotas, and does nothing in them.
DEAF = Path(__file__).parents[1] / "bpf" / "schedulers" / "deaf.bpf.c"


def test_only_what_has_the_callback_is_asked() -> None:
    """Each control has a scenario, for schedulers that say they honour it."""
    assert control_set(STRESS_MACHINE, ()) == ()
    for control, name in zip(
        (ResourceControl.WEIGHT, ResourceControl.MAX, ResourceControl.IDLE), CONTROLS, strict=True
    ):
        (scenario,) = control_set(STRESS_MACHINE, {control.callback})
        assert scenario.name == name


@pytest.mark.parametrize("name", list(CONTROLS))
def test_the_default_scheduler_honours_all(target: Target, name: str) -> None:
    """The kernel's own scheduler passes what is required of others."""
    scenario = CONTROLS[name](STRESS_MACHINE)
    figures = simulate(None, scenario, btf=target.btf, cache_folder=target.cache)
    assert broken(scenario, figures) is None


def test_one_that_only_has_the_callbacks_fails_with_the_place(prover: Prover) -> None:
    """The share that it gave, the share that was due, and the callback that does nothing."""
    proof = prover.prove(DEAF)
    assert not proof.passed
    (found,) = [each for each in proof.findings if each.severity == "error"]
    assert found.scenario == "cgroup_weights"
    assert "its share is 69 %" in found.message
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
    assert "cpu.max allows 0.20 CPUs used 2" in found.message
    assert "cgroup_set_bandwidth" in found.cause


def figures(**run_ns: float) -> SimulationFigures:
    """Ten seconds of four CPUs, and the CPU time of each cgroup in seconds."""
    groups = {f"/sp-{name}": int(seconds * S) for name, seconds in run_ns.items()}
    return SimulationFigures(
        scheduler="x",
        seed=1,
        cpus=4,
        time_ns=10 * S,
        run_ns=sum(groups.values()),
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


@pytest.mark.parametrize(
    ("name", "run_ns", "honoured"),
    [
        ("cgroup_weights", {"weight100": 3.1, "weight300": 9.2, "weight900": 27.7}, True),
        ("cgroup_weights", {"weight100": 5, "weight300": 11, "weight900": 24}, True),
        ("cgroup_weights", {"weight100": 8, "weight300": 9, "weight900": 23}, False),
        ("cgroup_weights", {"weight100": 0, "weight300": 0, "weight900": 0}, False),
        ("cgroup_quota", {"limited": 2.0, "free": 38}, True),
        ("cgroup_quota", {"limited": 2.2, "free": 37.8}, True),
        ("cgroup_quota", {"limited": 2.4, "free": 37.6}, False),
        ("cgroup_quota", {"limited": 0.9, "free": 39.1}, False),
        ("cgroup_idle", {"idle": 0.1, "usual": 39.9}, True),
        ("cgroup_idle", {"idle": 5, "usual": 35}, False),
    ],
)
def test_each_control_has_its_bound(name: str, run_ns: dict[str, float], honoured: bool) -> None:
    """A share within ten points, a quota within a tenth, and little for an idle cgroup."""
    found = broken(CONTROLS[name](STRESS_MACHINE), figures(**run_ns))
    assert (found is None) is honoured
    if found is not None:
        assert found.message
        assert found.cause
        assert found.fix
