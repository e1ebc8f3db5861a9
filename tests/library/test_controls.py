# SPDX-License-Identifier: GPL-2.0-or-later
"""Control groups keep what was granted to them, on a real kernel, under every scheduler.

All scenes for all schedulers and some policies, beside the kernel's own scheduler, with a table:
    make test TESTS='-m long tests/library/test_controls.py -s'
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.vm import run_in_lab
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from tests.target import Target

LIBRARY = ("fair", "latency", "batch", "fifo", "locality", "jobs")
POLICIES = {
    "plain": "slice 3ms",
    "first-come": "order fifo; slice 100ms",
    "tiers": 'comm ~ "python*" { latency; preempt }; * { slice 20ms }',
    "share": 'comm ~ "sh" { share <= 20% }',
    "near": "llc; slice 5ms",
}
DEFAULT = "default"
CPUS = 2
# How far a group's share may be from the exact one, in hundredths of the whole machine.
POINTS = 5.0
# Of a quota. 3 in 100 over 10 s on an idle host; on a busy one the emulated CPUs stand still.
QUOTA_OFF = 0.15
WEIGHTS = {"100": 100, "300": 300, "900": 900}
LEVELS = {"low": 100, "high": 400}
INNER = {"high/100": 100, "high/300": 300}
SHOWN = (
    *("weights", "levels", "mixed", "idle"),
    *("quota 20", "quota 50", "quota 150", "crowded", "changed", "churn", "deep"),
)


def built(target: Target, folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """An object for each scheduler of the library and each policy, by its file's name."""
    objects = {}
    for name in names:
        if name in POLICIES:
            policy = compile_policy(POLICIES[name], machine=TargetMachine(CPUS, lambda _: None))
            assert isinstance(policy, CompiledPolicy)
            source: Path | str = policy.source
        else:
            source = Path(f"scheduler_library/schedulers/{name}/{name}.bpf.c")
        target.build(source, folder, name=f"{name}.bpf.c").require()
        objects[f"{name}.bpf.o"] = (folder / f"{name}.bpf.o").read_bytes()
    return objects


def play(
    target: Target, folder: Path, names: Sequence[str], seconds: float, *scenes: str
) -> list[dict[str, Any]]:
    """The scenes under these schedulers, one after the other in one guest: CPUs of each group."""
    objects = built(target, folder, [name for name in names if name != DEFAULT])
    words = ["python", "-m", "tests.library.guest_controls", "--objects", "/run/lab/files"]
    words += ["--seconds", str(seconds), *(["--scenes", ",".join(scenes)] if scenes else [])]
    done = run_in_lab(
        [*words, *names], cpus=CPUS, files=objects, timeout=120 + len(names) * 12 * (seconds + 6)
    )
    assert done.status == 0, done.error_text + done.text
    return [json.loads(line) for line in done.text.splitlines()][:-1]


def points(part: float, whole: float) -> float:
    return 100 * part / whole


def off(found: dict[str, float], weights: dict[str, int]) -> float:
    """How far the worst share of these groups is from the exact one, in hundredths of their sum."""
    whole = sum(found[name] for name in weights)
    return max(
        abs(points(found[name], whole) - points(weight, sum(weights.values())))
        for name, weight in weights.items()
    )


def check(run: dict[str, Any]) -> None:
    """Check what the tree grants, in each scene that was played."""
    assert run["trouble"] == [], run
    for scene, weights in (("weights", WEIGHTS), ("levels", LEVELS), ("levels", INNER)):
        if scene in run:
            assert off(run[scene], weights) <= POINTS, run
    for percent in (20, 50, 150):
        if found := run.get(f"quota {percent}"):
            assert 100 * found["limited"] == pytest.approx(percent, rel=QUOTA_OFF), run
    if found := run.get("crowded"):
        assert 100 * found["limited"] == pytest.approx(20, rel=QUOTA_OFF), run
        # The other group may have what the limited one may not use.
        assert found["free"] > 1.5, run
    if found := run.get("deep"):
        assert off(found, {"100": 100, "300": 300}) <= POINTS, run
        assert points(found["far"], sum(found.values())) == pytest.approx(50, abs=POINTS), run
    if found := run.get("idle"):
        assert found["idle"] < 0.2 < 1.5 < found["usual"], run


@pytest.mark.vm
def test_weights_and_quotas_hold_while_groups_come_and_go(target: Target, tmp_path: Path) -> None:
    """Under a scheduler of the library and under a policy, nothing is lost and nobody is
    ejected."""
    scenes = ("weights", "crowded", "churn")
    runs = play(target, tmp_path, ("fair", "tiers"), 2.0, *scenes)
    assert [run["scheduler"] for run in runs] == ["fair", "tiers"]
    for run in runs:
        check(run)
        assert run["churn"]["made and removed"] > 0


@pytest.mark.vm
@pytest.mark.long
def test_every_scheduler_keeps_what_the_tree_grants(target: Target, tmp_path: Path) -> None:
    """All schedulers of the library and five policies, beside the kernel's own: the table of the
    docs."""
    runs = play(target, tmp_path, (DEFAULT, *LIBRARY, *POLICIES), 10.0)
    assert [run["scheduler"] for run in runs] == [DEFAULT, *LIBRARY, *POLICIES]
    sys.stdout.write("".join(f"{row(run)}\n" for run in runs))
    for run in runs[1:]:
        check(run)


@pytest.mark.vm
@pytest.mark.long
@pytest.mark.parametrize("name", ["fair", "plain"])
def test_settings_of_systemd_units_hold(target: Target, tmp_path: Path, name: str) -> None:
    """CPUWeight=, CPUQuota= and AllowedCPUs=, by cpu.stat and as systemd-cgtop shows them."""
    objects = built(target, tmp_path, (name,))
    done = run_in_lab(
        ["python", "-m", "tests.library.guest_units", f"/run/lab/files/{name}.bpf.o", "8"],
        cpus=CPUS,
        systemd=True,
        files=objects,
        timeout=300,
    )
    assert done.status == 0, done.error_text + done.text
    seen = json.loads(done.text.splitlines()[-1])
    assert seen["trouble"] == [], seen
    cpus = seen["cpus"]
    assert cpus["sp-limited"] == pytest.approx(0.2, rel=QUOTA_OFF), seen
    # What the quota leaves is divided 100:400:100, and the last of them has one CPU of two.
    assert off(cpus, {"sp-light": 100, "sp-heavy": 400, "sp-pinned": 100}) <= POINTS, seen
    for unit, shown in seen["cgtop"].items():
        assert shown / 100 == pytest.approx(cpus[unit], abs=0.25), seen
    assert len(seen["cgtop"]) == len(cpus), seen


def row(run: dict[str, Any]) -> str:
    """One line of the table."""
    cells = [
        run["scheduler"],
        *(" : ".join(f"{value:.2f}" for value in run[scene].values()) for scene in SHOWN),
    ]
    return "| " + " | ".join(cells) + " |"
