# SPDX-License-Identifier: GPL-2.0-or-later
"""A candidate that ignores what the machine's cgroups use is not proven, unless that is allowed."""

from itertools import product

import pytest

from bpf.kernel.controls import (
    ControlsInUse,
    GroupControls,
    Quota,
    ResourceControl,
    without_callback,
)
from daemon.api.models import GateMessage
from daemon.decide.controls import (
    ControlsJudgement,
    DeclaredControls,
    MachineControls,
    judge,
)

ALL = frozenset({"cgroup_init", *(each.callback for each in ResourceControl)})
SHOP = GroupControls("/system.slice/shop.service", quota=Quota(20_000, 100_000))
BACKUP = GroupControls("/backup.slice", quota=Quota(50_000, 100_000))
BIG = GroupControls("/system.slice/big.service", weight=900)
CALM = GroupControls("/system.slice/calm.service", idle=True)
EVERYTHING = ControlsInUse(9, (SHOP, BACKUP, BIG, CALM))
QUOTAS = ControlsInUse(5, (SHOP, BACKUP))


def declares(*callbacks: str) -> DeclaredControls:
    return DeclaredControls(frozenset({"enqueue", *callbacks}))


def of(judgement: ControlsJudgement, severity: str) -> list[GateMessage]:
    return [each for each in judgement.messages if each.severity == severity]


def test_an_ignored_quota_is_told_by_name_and_stops_it() -> None:
    """The answer says who has the quota, why it would not work, and what to do in either
    direction."""
    judged = judge(MachineControls(QUOTAS, ALL), declares())
    assert not judged.passed
    assert judged.ignored == (ResourceControl.MAX,)
    (said,) = of(judged, "error")
    assert said.message == (
        "2 units here have CPUQuota= (shop.service, backup.slice); this scheduler ignores it"
    )
    assert "cgroup_set_bandwidth" in said.cause
    assert 'allow_ignoring = ["cpu.max"]' in said.fix


def test_a_candidate_that_declares_what_is_used_passes() -> None:
    """Further declarations, and missing ones for what is not used, make no difference."""
    judged = judge(MachineControls(QUOTAS, ALL), declares("cgroup_set_bandwidth"))
    assert judged.passed
    assert judged.ignored == ()
    assert not of(judged, "warning")


def test_what_the_operator_allows_is_a_warning() -> None:
    """The loss is still reported, and anything else that is not allowed stops the candidate, with
    the whole line to write."""
    allowed = frozenset({ResourceControl.MAX})
    judged = judge(MachineControls(QUOTAS, ALL), declares(), allowed)
    assert judged.passed
    assert judged.ignored == (ResourceControl.MAX,)
    assert "allow_ignoring" in of(judged, "warning")[0].message
    judged = judge(MachineControls(EVERYTHING, ALL), declares("cgroup_set_idle"), allowed)
    assert not judged.passed
    (said,) = of(judged, "error")
    assert 'allow_ignoring = ["cpu.weight", "cpu.max"]' in said.fix


def test_where_nothing_is_used_there_is_only_a_note() -> None:
    """Equal weights divide the CPUs too; the answer says so and stops nobody."""
    judged = judge(MachineControls(ControlsInUse(41), ALL), declares())
    assert judged.passed
    assert {each.severity for each in judged.messages} == {"note"}
    assert any("41 cgroups" in each.message for each in judged.messages)
    told = judge(MachineControls(ControlsInUse(41), ALL), declares("cgroup_set_weight"))
    assert not any("41 cgroups" in each.message for each in told.messages)


def test_a_kernel_without_group_scheduling_is_named() -> None:
    """No scheduler can honour anything on it, even one that has the callback."""
    kernel = frozenset({"enqueue", "dispatch"})
    judged = judge(MachineControls(QUOTAS, kernel), declares("cgroup_set_bandwidth"))
    (said,) = of(judged, "error")
    assert "no scheduler can honour it on this kernel" in said.message
    assert "CONFIG_EXT_GROUP_SCHED" in said.cause


def test_a_kernel_that_lacks_one_callback_is_named() -> None:
    """Quotas came later than weights, and the answer names the first kernel that has them."""
    kernel = frozenset({"cgroup_init", "cgroup_set_weight"})
    assert without_callback(ResourceControl.WEIGHT, kernel) == ""
    assert "6.17" in without_callback(ResourceControl.MAX, kernel)
    assert "cgroup_set_idle" in without_callback(ResourceControl.IDLE, kernel)


def test_an_option_that_was_not_given_is_named() -> None:
    """A callback that needs an option is not honoured without that option."""
    off = {ResourceControl.MAX: "enable-cpu-bw"}
    candidate = DeclaredControls(frozenset({"cgroup_set_bandwidth"}), off)
    judged = judge(MachineControls(QUOTAS, ALL), candidate)
    (said,) = of(judged, "error")
    assert "ignores it without --enable-cpu-bw" in said.message
    assert "enable-cpu-bw=true" in said.fix


def test_what_is_not_known_is_said_and_passes() -> None:
    """This holds for a program that cannot be read, and for a machine whose cgroups cannot be
    read."""
    judged = judge(MachineControls(QUOTAS, ALL), DeclaredControls(None))
    assert judged.passed
    assert "not known" in of(judged, "warning")[0].message
    judged = judge(MachineControls(ControlsInUse(unread="no cgroups"), None), declares())
    assert judged.passed
    assert "no cgroups" in of(judged, "warning")[0].message


def test_where_nothing_can_be_loaded_it_warns() -> None:
    """A kernel without sched_ext loses nothing, but a developer still sees the message."""
    judged = judge(MachineControls(QUOTAS, ALL, can_load=False), declares())
    assert judged.passed
    assert "no sched_ext" in of(judged, "warning")[0].message


@pytest.mark.parametrize("declared", list(product((False, True), repeat=3)))
@pytest.mark.parametrize("allowed", list(product((False, True), repeat=3)))
def test_it_passes_exactly_if_all_that_is_used_is_honoured_or_allowed(
    declared: tuple[bool, ...], allowed: tuple[bool, ...]
) -> None:
    """Each control is judged by itself."""
    has = [each.callback for each, yes in zip(ResourceControl, declared, strict=True) if yes]
    may = frozenset(each for each, yes in zip(ResourceControl, allowed, strict=True) if yes)
    judged = judge(MachineControls(EVERYTHING, ALL), declares(*has), may)
    assert judged.passed == all(one or other for one, other in zip(declared, allowed, strict=True))
    assert len(judged.ignored) == declared.count(False)
