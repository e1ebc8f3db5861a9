# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies in the real daemon on a real sched_ext kernel: held, tuned while they run, saved.

The scenes (guest_policy.py) are played in one boot of the lab; the tests judge them.
"""

import json
from typing import Any

import pytest

pytestmark = pytest.mark.vm

PLAY_S = 300.0


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    from lab.vm import run_in_lab

    done = run_in_lab(["python", "-m", "tests.daemon.guest_policy"], timeout=PLAY_S)
    assert done.status == 0, done.error_text
    found: dict[str, Any] = json.loads(done.text.strip().splitlines()[-1])
    for scene in found.values():
        assert "trouble" not in scene, scene["trouble"]
    return found


def test_a_line_passes_the_gates_and_runs(seen: dict[str, Any]) -> None:
    """Compiled, checked, built, verified, and in the kernel by its own name."""
    view, held = seen["held"]["view"], seen["held"]["held"]
    met = [each["gate"] for each in view["gates"] if not each["skipped"]]
    assert met == ["compile", "static", "build", "controls", "verify"]
    assert {each["gate"] for each in view["gates"] if each["skipped"]} == {"simulate", "canary"}
    assert view["proven"]
    assert view["kind"] == "policy"
    assert held["loaded"]["name"] == view["name"]
    assert held["sysfs"]["state"] == "enabled"
    assert held["sysfs"]["ops"] == held["kernel"]["ops"] != ""


def test_its_numbers_change_while_it_runs(seen: dict[str, Any]) -> None:
    """A live parameter is set, an unknown one refused, and it runs on under load."""
    name, value = seen["held"]["parameter"]
    assert seen["held"]["set"]["loaded"]["parameters"][name] == value
    assert seen["held"]["unknown"]["type"] == "bad-parameter"
    before, after = seen["held"]["held"]["sysfs"], seen["held"]["after"]["sysfs"]
    assert after == before


def test_a_refused_line_changes_nothing(seen: dict[str, Any]) -> None:
    """The fault has the line and the caret."""
    assert seen["refused"]["type"] == "bad-policy"
    assert seen["refused"]["details"][0] == "slice fase"
    assert "^" in seen["refused"]["details"][1]


def test_a_winner_is_in_the_library_after_a_restart(seen: dict[str, Any]) -> None:
    """Kept, saved, shown with its line, and loaded by its name by the next daemon."""
    won, again = seen["won"], seen["by_name"]
    assert won["trial"]["state"] == "kept"
    assert won["detail"]["kind"] == "policy"
    assert won["detail"]["policy"] == seen["held"]["view"]["policy"]
    assert won["detail"]["parameters"]
    assert again["view"]["proven"]
    assert again["view"]["id"] == seen["held"]["view"]["id"]
    assert again["held"]["loaded"]["name"] == won["saved"]["scheduler"]
    assert again["held"]["sysfs"]["state"] == "enabled"


def test_what_was_proven_ahead_goes_into_its_trial_without_a_gate(seen: dict[str, Any]) -> None:
    """The candidate is proven at once and its trial begins, without any gate in between."""
    prepared = seen["prepared"]
    assert prepared["view"]["proven"]
    assert prepared["trial"]["scheduler"] == prepared["name"]
    assert "trial-started" in prepared["told"]
    assert not [each for each in prepared["told"] if each.startswith("gate-")]


def test_after_a_restart_it_is_ready_on_a_busy_machine(seen: dict[str, Any]) -> None:
    """Every gate answers from its cache: nothing is built or loaded."""
    again = seen["remembered"]
    assert again["view"]["proven"]
    gates = [each for each in again["view"]["gates"] if not each["skipped"]]
    # A saved policy has its text read besides, and the machine's cgroups are looked at anew.
    met = [each for each in gates if each["gate"] not in ("compile", "controls")]
    assert [each["gate"] for each in met] == ["static", "build", "verify"]
    assert all(each["reused"] for each in met)
