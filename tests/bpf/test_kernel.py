# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedulers on a real sched_ext kernel: held, leased, failing in every way there is.

All scenes are played in one boot of the lab (guest_scenes.py); the tests judge them.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.vm

Seen = dict[str, Any]


def _play(folder: Path, *scenes: str, kernel_arguments: tuple[str, ...] = ()) -> Seen:
    from lab.vm import run_in_lab

    done = run_in_lab(
        ["python", "tests/bpf/guest_scenes.py", "/out/scenes.json", *scenes],
        timeout=500,
        out=folder,
        kernel_arguments=kernel_arguments,
    )
    assert done.status == 0, done.text + done.error_text
    seen: Seen = json.loads((folder / "scenes.json").read_text())
    return seen


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    return _play(tmp_path_factory.mktemp("scenes"))


@pytest.fixture
def seen(request: pytest.FixtureRequest, scenes: Seen) -> Seen:
    """One scene, by its name."""
    found: Seen = scenes[request.param]
    assert "trouble" not in found, found["trouble"]
    return found


def of(scene: str) -> pytest.MarkDecorator:
    """The scene that a test judges."""
    return pytest.mark.parametrize("seen", [scene], indirect=True)


@of("building")
def test_schedulers_are_built_on_the_machine_itself(seen: Seen) -> None:
    """All steps from the kernel's types to an object work on the target machine."""
    assert seen["ok"] == [True, True, False]
    assert seen["diagnostics"] == []


@of("examining")
def test_the_doctor_finds_the_lab_sound(seen: Seen) -> None:
    """On a machine that can load schedulers nothing fails."""
    assert "fail" not in seen.values(), seen


@of("describing")
def test_an_object_tells_its_parameters(seen: Seen) -> None:
    """Constants, live parameters and maps are reported with type, size and default."""
    assert [(v["name"], v["type"], v["default"]) for v in seen["constants"]] == [
        ("min_slice_ns", "u64", 500000)
    ]
    live = {v["name"]: (v["type"], v["size"], v["default"]) for v in seen["live"]}
    assert live == {
        "slice_ns": ("u64", 8, 5000000),
        "offset": ("s16", 2, -3),
        "fast": ("bool", 1, True),
    }
    assert {m["name"]: (m["key_bytes"], m["value_bytes"]) for m in seen["maps"]} == {
        "slices": (4, 8),
        "stats": (4, 8),
    }


@of("verifying")
def test_verifying_attaches_nothing(seen: Seen) -> None:
    """The verifier accepts a sound scheduler, and the kernel's own keeps running."""
    assert seen["ops"] == "t_plain"
    assert seen["state"] == "disabled"


@of("holding")
def test_a_scheduler_is_confirmed_by_the_kernel(seen: Seen) -> None:
    """`start` returns when the kernel shows the scheduler under its name, newly enabled."""
    assert seen["enabled"] == ["enabled", "t_plain", 1]
    assert seen["attached"]["ops"] == "t_plain"
    assert seen["stats"]["state"] == "enabled"


@of("holding")
def test_the_guard_outranks_what_it_guards(seen: Seen) -> None:
    """The runner is real-time with its memory locked, and small."""
    assert seen["attached"]["warning"] == ""
    assert seen["policy"] == os.SCHED_FIFO
    assert 0 < seen["memory_kb"]["VmLck"] <= seen["memory_kb"]["VmRSS"] < 6 * 1024


@of("holding")
def test_bad_commands_change_nothing(seen: Seen) -> None:
    """Constants, unknown names, values out of range and foreign maps are refused by name."""
    assert {each["type"] for each in seen["refused"]} == {"bad-parameter"}
    assert {each["state"] for each in seen["refused"]} == {"enabled"}
    words = ("fixed once", "no variable absent", "does not fit", "no map absent", "4 bytes")
    for each, word in zip(seen["refused"], words, strict=True):
        assert word in each["why"]


@of("holding")
def test_detaching_is_over_when_the_kernel_says_so(seen: Seen) -> None:
    """After `detach` the kernel's own scheduler is back, and later commands say it is gone."""
    assert (seen["end"]["event"], seen["end"]["why"]) == ("detached", "request")
    assert seen["after"] == "disabled"
    assert seen["late"]["type"] == "state"


@of("lease_running_out")
def test_a_lease_that_is_not_renewed_ends_the_scheduler(seen: Seen) -> None:
    """Without renewal the runner detaches by itself."""
    assert (seen["end"]["event"], seen["end"]["why"]) == ("detached", "lease")
    assert seen["state"] == "disabled"


@of("lease_renewed")
def test_a_renewed_lease_goes_on(seen: Seen) -> None:
    """With renewals the scheduler outlives its first lease, and ends only when asked."""
    assert seen["held"] == "enabled"
    assert seen["end"]["why"] == "request"


@of("runner_killed")
def test_a_killed_runner_takes_its_scheduler_along(seen: Seen) -> None:
    """After SIGKILL of the runner, the kernel's own scheduler runs at once."""
    assert seen["state"] == "disabled"
    assert seen["ms"] < 5000


@of("owner_killed")
def test_a_killed_owner_ends_the_scheduler(seen: Seen) -> None:
    """SIGKILL of the process that owns the runner ends the scheduler long before its lease."""
    assert seen["held"] == "enabled"
    assert seen["state"] == "disabled"


@of("stalling")
def test_a_stall_is_told_as_one(seen: Seen) -> None:
    """The watchdog ends a scheduler that loses tasks, and the machine responds."""
    assert (seen["end"]["event"], seen["end"]["kind"]) == ("exited", 1026)
    assert seen["end"]["kind_name"] == "error-stall"
    assert seen["end"]["dump"]
    assert seen["state"] == "disabled"


@of("failing")
def test_an_error_of_the_scheduler_is_told_in_its_words(seen: Seen) -> None:
    """scx_bpf_error() arrives as kind 1025 with the scheduler's own message."""
    assert seen["end"]["kind"] == 1025
    assert "on purpose after" in seen["end"]["message"]
    assert '"tasks"' in seen["end"]["message"]
    assert seen["state"] == "disabled"


@of("failing")
def test_hostile_names_come_through_as_data(seen: Seen) -> None:
    """A task name that is not text arrives in the dump, and the line stays JSON."""
    assert '\ufffd"\\' in seen["end"]["dump"]


@of("leaving")
def test_an_orderly_end_carries_its_code(seen: Seen) -> None:
    """scx_bpf_exit() arrives as kind 65, with action and code separately."""
    end = seen["end"]
    assert (end["kind"], end["restart"], end["hotplug"], end["user_code"]) == (65, True, False, 5)
    assert seen["state"] == "disabled"


@of("refused")
def test_the_verifiers_refusal_comes_with_cause_and_remedy(seen: Seen) -> None:
    """A refusal says what is wrong in plain words, and quotes the verifier."""
    assert seen["type"] == "verifier-refused"
    assert "NULL" in seen["why"]
    assert seen["hint"]
    assert any("PROG LOAD LOG" in line for line in seen["details"])
    assert any("refuse.bpf.c:" in line for line in seen["details"])
    assert seen["state"] == "disabled"


@of("ejected_while_enabling")
def test_attached_is_not_enabled(seen: Seen) -> None:
    """A scheduler that is ejected while it is enabled is never reported as running; the cause
    is."""
    assert {each["type"] for each in seen.values()} == {"ejected"}
    assert {each["state"] for each in seen.values()} == {"disabled"}
    assert "no task is welcome" in seen["0"]["why"]


@of("not_bpf")
def test_files_that_are_no_scheduler_are_told_apart(seen: Seen) -> None:
    """Text, half an object and an ordinary program are not BPF; a missing file is not found."""
    types = {name: each["type"] for name, each in seen.items()}
    bad = "not-a-bpf-object"
    assert types == {"text": bad, "cut": bad, "program": bad, "absent": "not-found"}


@of("bad_parameters")
def test_bad_parameters_are_refused_before_the_kernel_sees_them(seen: Seen) -> None:
    """Unknown names and values that do not fit are each refused with the reason."""
    assert {each["type"] for each in seen.values()} == {"bad-parameter"}


@of("second_scheduler")
def test_a_scheduler_in_place_is_left_alone(seen: Seen) -> None:
    """While one scheduler is in the kernel, another is refused, and the first one stays."""
    assert seen["fault"]["type"] == "foreign-scheduler"
    assert "t_plain" in seen["fault"]["why"]
    assert seen["still"] == "t_plain"


@of("cpu_leaving")
def test_a_leaving_cpu_asks_for_a_restart(seen: Seen) -> None:
    """A scheduler that does not handle hotplug ends with the request to load it again."""
    end = seen["end"]
    assert (end["event"], end["restart"], end["hotplug"]) == ("exited", True, True)
    assert seen["state"] == "disabled"


def test_isolated_cpus_are_named_as_the_cause(tmp_path: Path) -> None:
    """With isolcpus= the message explains the kernel's bare EINVAL."""
    played = _play(tmp_path, "isolated_cpus", kernel_arguments=("isolcpus=1",))
    seen = played["isolated_cpus"]
    assert "isolcpus" in seen["why"], seen
    assert seen["state"] == "disabled"
