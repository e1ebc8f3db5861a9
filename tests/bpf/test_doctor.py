# SPDX-License-Identifier: GPL-2.0-or-later
"""The doctor's verdicts, from facts; and its reading of a real kernel's types."""

import json
import struct
from dataclasses import replace

import pytest

from bpf.kernel.controls import ControlsInUse, GroupControls, Quota
from bpf.kernel.doctor import examine, healthy, main
from bpf.kernel.doctor_check import Check, DoctorVerdict
from bpf.kernel.doctor_facts import DoctorFacts, config_value
from bpf.kernel.features import parse_features
from bpf.kernel.sysfs import KernelState
from process import Fault, FaultType

SOUND = DoctorFacts(
    kernel="7.3.4",
    config_file="/boot/config-7.3.4",
    state=KernelState(state="disabled", enable_seq=0),
    kfuncs=75,
    clang="19.1.7",
    bpftool="/usr/sbin/bpftool",
    runner="schedpilot-runner, libbpf v1.5",
)


def _check(facts: DoctorFacts, name: str) -> Check:
    return next(check for check in examine(facts) if check.name == name)


def test_a_sound_machine_is_healthy() -> None:
    """On a complete machine nothing fails and nothing warns."""
    checks = examine(SOUND)
    assert healthy(checks)
    assert {check.verdict for check in checks} == {DoctorVerdict.OK}


@pytest.mark.parametrize(
    ("name", "facts", "verdict"),
    [
        ("kernel", replace(SOUND, state=KernelState(), config="n"), DoctorVerdict.FAIL),
        ("kernel types", replace(SOUND, btf=False), DoctorVerdict.FAIL),
        (
            "kernel configuration",
            replace(SOUND, config_file="", config_remedy="ln -s /usr/lib/x /boot/x"),
            DoctorVerdict.WARN,
        ),
        (
            "scheduler functions",
            replace(SOUND, malformed=("scx_bpf_kick_cpu",)),
            DoctorVerdict.FAIL,
        ),
        ("other loaders", replace(SOUND, loaders=("scx_loader",)), DoctorVerdict.WARN),
        ("isolated CPUs", replace(SOUND, isolated="2-3"), DoctorVerdict.FAIL),
        ("clang", replace(SOUND, clang="", clang_trouble="only clang 14"), DoctorVerdict.FAIL),
        ("libbpf headers", replace(SOUND, libbpf_headers=False), DoctorVerdict.FAIL),
        ("bpftool", replace(SOUND, bpftool=""), DoctorVerdict.FAIL),
        ("runner", replace(SOUND, runner="", runner_trouble="not there"), DoctorVerdict.FAIL),
        ("sandbox", replace(SOUND, sandbox_trouble="no namespaces"), DoctorVerdict.FAIL),
        ("pressure (PSI)", replace(SOUND, pressure=False), DoctorVerdict.WARN),
        ("perf counters", replace(SOUND, perf_counters=False), DoctorVerdict.WARN),
        ("rights", replace(SOUND, root=False), DoctorVerdict.WARN),
        (
            "resource controls",
            replace(SOUND, callbacks=frozenset({"enqueue"})),
            DoctorVerdict.WARN,
        ),
        (
            "resource controls",
            replace(SOUND, controls=ControlsInUse(unread="cgroup v1")),
            DoctorVerdict.WARN,
        ),
    ],
)
def test_each_trouble_is_named_with_a_remedy(
    name: str, facts: DoctorFacts, verdict: DoctorVerdict
) -> None:
    """Each problem has its own verdict, with its meaning and its remedy."""
    check = _check(facts, name)
    assert check.verdict is verdict
    assert check.meaning
    assert check.remedy
    assert healthy(examine(facts)) == (verdict is DoctorVerdict.WARN)


def test_a_running_scheduler_is_named() -> None:
    """The scheduler in the kernel is reported by the kernel's own name for it."""
    facts = replace(SOUND, state=KernelState(state="enabled", ops="lavd"))
    assert _check(facts, "current scheduler").found == "lavd (enabled)"


def test_the_controls_in_use_are_named() -> None:
    """The answer says who has a quota, and what that means on a kernel without its callback."""
    shop = GroupControls("/system.slice/shop.service", quota=Quota(20_000, 100_000))
    facts = replace(SOUND, controls=ControlsInUse(3, (shop,)))
    assert "CPUQuota= (shop.service)" in _check(facts, "resource controls").found
    assert _check(facts, "resource controls").verdict is DoctorVerdict.OK
    old = replace(facts, callbacks=frozenset({"cgroup_init", "cgroup_set_weight"}))
    check = _check(old, "resource controls")
    assert check.verdict is DoctorVerdict.WARN
    assert "no scheduler can honour cpu.max here" in check.meaning
    assert "cpu.weight" not in check.meaning


def test_a_kernel_without_group_scheduling_is_named() -> None:
    """There nothing can be honoured, whether or not something uses it now."""
    check = _check(replace(SOUND, callbacks=frozenset({"enqueue"})), "resource controls")
    assert "CONFIG_EXT_GROUP_SCHED" in check.meaning
    assert "cpu.max" in check.meaning


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """`--json` prints one document whose verdicts agree with the exit status."""
    status = main(["--json"])
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] == (status == 0)
    assert {"name", "verdict", "found", "meaning", "remedy"} == set(document["checks"][0])


@pytest.mark.parametrize(
    ("text", "value"),
    [("CONFIG_X=y\n", "y"), ("# CONFIG_X is not set\n", "n"), ("CONFIG_XY=y\n", "n"), ("", "")],
)
def test_kernel_configuration_is_read(text: str, value: str) -> None:
    """Set, unset and unmentioned are three answers; a missing file is a fourth."""
    assert config_value(text, "CONFIG_X") == value


def _btf(**functions: list[str]) -> bytes:
    """BTF with these functions and the names of their arguments."""
    names, offsets = bytearray(b"\0"), {}

    def offset(name: str) -> int:
        if name not in offsets:
            offsets[name] = len(names)
            names.extend(name.encode() + b"\0")
        return offsets[name]

    types = struct.pack("=IIII", offset("int"), 1 << 24, 4, 32)
    for number, (name, arguments) in enumerate(functions.items()):
        types += struct.pack("=III", 0, 13 << 24 | len(arguments), 1)
        for each in arguments:
            types += struct.pack("=II", offset(each), 1)
        types += struct.pack("=III", offset(name), 12 << 24, 2 + 2 * number)
    header = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(names))
    return header + types + bytes(names)


@pytest.mark.parametrize(
    ("release", "remedy"),
    [
        (
            "7.2.12+deb13-cloud-amd64",
            "apt install -t trixie-backports linux-image-cloud-amd64 (7.3.4 or newer) and boot it",
        ),
        ("7.2.0-arch1-1", "boot another kernel"),
    ],
)
def test_a_kernel_with_malformed_kfuncs_is_told_which_one_to_boot(
    release: str, remedy: str
) -> None:
    """Where the distribution has a sound kernel, the remedy names its package."""
    facts = replace(SOUND, kernel=release, malformed=("scx_bpf_kick_cpu",))
    assert _check(facts, "scheduler functions").remedy.startswith(f"{remedy};")


def test_malformed_kfuncs_are_found() -> None:
    """A public kfunc that still has the internal argument is malformed; its twin is not."""
    features = parse_features(
        _btf(
            scx_bpf_sound=["p"],
            scx_bpf_sound_impl=["p", "aux"],
            scx_bpf_bad=["cpu", "aux"],
            other=["aux"],
        )
    )
    assert features.kfuncs == ("scx_bpf_bad", "scx_bpf_sound")
    assert features.malformed == ("scx_bpf_bad",)


@pytest.mark.parametrize("data", [b"", b"x" * 64, _btf(scx_bpf_a=["p"])[:60]])
def test_what_is_no_btf_is_a_fault(data: bytes) -> None:
    """Garbage and a cut-off file are faults, never tracebacks."""
    with pytest.raises(Fault) as caught:
        parse_features(data)
    assert caught.value.type is FaultType.UNSUPPORTED
