# SPDX-License-Identifier: GPL-2.0-or-later
"""The canary: when it runs, how its answer is read, and a real one in a guest."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.api.paths import RUN_DIR_VARIABLE
from daemon.config import Canary
from daemon.gates.canary import CanaryPlace, reason_to_skip
from lab.canary import judge
from process import Fault, FaultType, run
from tests.gates.conftest import ROOT
from tests.target import Target

KVM = CanaryPlace(kernel="7.3", accelerator="kvm")
EMULATED = CanaryPlace(kernel="7.3", accelerator="tcg")
NOWHERE = CanaryPlace(why="the lab's root is not built")

FIGURES = {"seconds": 20.0, "hotplugs": 9, "restarts": 0, "latest_wakeup_s": 0.2}
ATTACHED: dict[str, Any] = {"event": "attached", "ops": "x"}
TRIED: dict[str, Any] = {
    "event": "tried",
    "figures": FIGURES,
    "ended": None,
    "dump": [],
    "kernel_log": [],
}
STALLED = {
    "event": "exited",
    "kind": 1026,
    "reason": "runnable task stall",
    "message": "sh[9] failed to run for 30.1s",
}


@pytest.mark.parametrize(
    ("setting", "place", "asked", "kvm", "why"),
    [
        (Canary.AUTO, None, False, True, ""),
        (Canary.AUTO, KVM, False, True, ""),
        (Canary.AUTO, None, False, False, "no KVM"),
        (Canary.AUTO, EMULATED, False, True, "KVM does not boot"),
        (Canary.AUTO, NOWHERE, False, True, "is not built"),
        (Canary.AUTO, None, True, False, ""),
        (Canary.AUTO, EMULATED, True, False, ""),
        (Canary.AUTO, NOWHERE, True, True, "is not built"),
        (Canary.OFF, KVM, False, True, "switched off"),
        (Canary.OFF, KVM, True, True, ""),
    ],
)
def test_a_machine_is_booted_where_that_is_quick_or_asked_for(
    setting: Canary, place: CanaryPlace | None, asked: bool, kvm: bool, why: str
) -> None:
    """It runs by itself only with KVM. On request it runs wherever a machine boots, and never
    elsewhere."""
    found = reason_to_skip(setting, place, asked=asked, kvm=kvm)
    assert (why in found) if why else found == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, ""),
        ({"ended": STALLED}, "the kernel ejected it after 20 s: runnable task stall: sh[9]"),
        ({"ended": {"event": "detached", "why": "lease"}}, "its lease ran out"),
        ({"kernel_log": ["watchdog: BUG: soft lockup - CPU#1"]}, "a lockup"),
        ({"figures": {**FIGURES, "latest_wakeup_s": 7.5}}, "woken up 7.5 s late"),
    ],
)
def test_what_the_guest_saw_is_judged(change: dict[str, Any], says: str) -> None:
    """An ejection, a lease that ran out, a lockup and a starved task each are one error."""
    remarks = judge([ATTACHED, {**TRIED, **change}], None)
    errors = [each for each in remarks if each.severity == "error"]
    assert len(errors) == (1 if says else 0)
    for each in errors:
        assert says in each.message
        assert each.cause
        assert each.fix


def test_a_restart_for_hotplugs_sake_is_a_warning() -> None:
    """The kernel asks for a new load, and the daemon would do that; it stops no candidate."""
    (remark,) = judge([ATTACHED, {**TRIED, "figures": {**FIGURES, "restarts": 1}}], None)
    assert remark.severity == "warning"
    assert "ops.cpu_online" in remark.fix


def test_a_machine_that_dies_under_it_is_its_fault_and_one_that_never_was_is_not() -> None:
    """If the machine ends, this counts against an enabled candidate; before that, against the
    lab."""
    dead = Fault(FaultType.LAB, "the lab's kernel panicked", why="hung", details=("RIP: x",))
    first, second = judge([ATTACHED], dead)
    assert (first.severity, second.message) == ("error", "RIP: x")
    assert "hung" in first.cause
    with pytest.raises(Fault) as caught:
        judge([], dead)
    assert caught.value is dead


@pytest.mark.parametrize("when", ["tried", "failed"])
def test_a_stall_that_names_no_cpu_is_the_machines_and_not_its_fault(when: str) -> None:
    """Since 7.0 the kernel then ejects whichever scheduler runs."""
    stall = {"kind": 1024, "reason": "runtime error", "message": "RCU CPU stall on CPUs ()"}
    lines = [ATTACHED, {**TRIED, "ended": {"event": "exited", **stall}}]
    if when == "failed":
        lines = [{"event": "failed", "cause": "", "hint": "", **stall}]
    with pytest.raises(Fault) as caught:
        judge(lines, None)
    assert caught.value.type is FaultType.LAB
    assert "could not be measured" in caught.value.what


def test_what_the_guests_kernel_does_not_take_is_told_in_its_words() -> None:
    """The runner's explanation is the cause and the remedy, and the end of the log is the
    material."""
    failed = {
        "event": "failed",
        "message": "load failed",
        "cause": "a pointer that may be NULL",
        "hint": "test it",
        "log": "one\n\ntwo",
    }
    first, *rest = judge([failed], None)
    assert (first.cause, first.fix) == ("a pointer that may be NULL", "test it")
    assert [each.message for each in rest] == ["one", "two"]


# ---------------------------------------------------------------- for real


@pytest.mark.vm
def test_a_bad_one_is_thrown_out_by_the_guests_kernel(target: Target, tmp_path: Path) -> None:
    """A scheduler that loses its tasks after a while runs on a real kernel, and the answer says so;
    the second time the answer is remembered."""
    built = target.build(ROOT / "tests/bpf/schedulers/stall.bpf.c", tmp_path).require()
    words = [sys.executable, "-m", "lab", "canary", f"--object={built}", "--seconds=10"]
    # The time of good behaviour is new each time, because a known candidate is not tried again.
    words += ["--set", f"good_ns={300_000_000 + int.from_bytes(os.urandom(3), 'big')}"]
    first, again = (
        json.loads(run(words, timeout=400, env=dict(os.environ)).stdout) for _ in range(2)
    )
    assert not first["passed"]
    assert "stall" in first["messages"][0]["message"]
    assert first["exit_kind"] == 1026
    assert not first["reused"]
    assert again == {**first, "reused": True}


@pytest.mark.vm
def test_a_good_one_is_tried_by_hand_without_a_daemon(tmp_path: Path) -> None:
    """`check --canary` checks, builds, simulates, boots, and says what it could not do."""
    slice_us = 1000 + int.from_bytes(os.urandom(2), "big") % 9000
    words = [sys.executable, "-m", "cli.main", "check", f"slice {slice_us}us", "--canary", "--json"]
    environ = {**os.environ, RUN_DIR_VARIABLE: str(tmp_path)}
    done = run(words, timeout=600, env=environ, check=False)
    assert done.status == 4, done.error_text
    gates = {each["gate"]: each for each in json.loads(done.stdout)["gates"]}
    met = ["compile", "static", "build", "simulate", "controls", "verify", "canary"]
    assert list(gates) == met
    assert "no daemon" in gates["verify"]["skipped"]
    assert gates["canary"]["passed"], gates["canary"]
    assert gates["canary"]["figures"]["hotplugs"] > 0
    assert gates["canary"]["figures"]["hackbench_runs"] > 0
