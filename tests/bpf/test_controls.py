# SPDX-License-Identifier: GPL-2.0-or-later
"""The resource controls that a machine's cgroups use, read from a tree of files."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bpf.kernel.controls import (
    ControlsInUse,
    GroupControls,
    Quota,
    ResourceControl,
    parse_quota,
    parse_usage,
    parse_weight,
    read_controls,
    usage_words,
)

USUAL = {"cpu.weight": "100\n", "cpu.idle": "0\n", "cpu.max": "max 100000\n", "cpu.max.burst": "0"}


def group(mount: Path, path: str, below: str = "", **files: str) -> Path:
    """A cgroup; a file's name has `_` for each dot."""
    folder = mount / path.strip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.subtree_control").write_text(below + "\n")
    (folder / "cgroup.controllers").write_text("cpu cpuset\n")
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def usual(mount: Path, path: str, below: str = "", **files: str) -> Path:
    """A group with the CPU controller, and only these settings changed from the defaults."""
    dotted: Mapping[str, str] = {name.replace(".", "_"): text for name, text in USUAL.items()}
    return group(mount, path, below, **{**dotted, **files})


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """A hierarchy like systemd's, with the CPU controller for slices and services."""
    group(tmp_path, "/", "cpu cpuset")
    usual(tmp_path, "/system.slice", "cpu")
    usual(tmp_path, "/user.slice")
    return tmp_path


def test_nothing_is_used_where_all_is_at_its_default(mount: Path) -> None:
    """Groups with the controller are counted, because equal weights divide the CPUs, too."""
    found = read_controls(mount)
    assert found == ControlsInUse(groups=2)
    assert found.used == ()


def test_each_control_is_found_with_its_value(mount: Path) -> None:
    """Weight, idle and quota with its burst are found; a cpuset is reported but is none of them."""
    usual(mount, "/system.slice/shop.service", cpu_max="20000 100000\n", cpu_max_burst="5000\n")
    usual(mount, "/system.slice/big.service", cpu_weight="900\n")
    # An idle group shows the weight 0.
    usual(mount, "/system.slice/backup.service", cpu_idle="1\n", cpu_weight="0\n")
    usual(mount, "/system.slice/pinned.service")
    (mount / "user.slice" / "cpuset.cpus").write_text("0-1\n")
    found = read_controls(mount)
    assert found.groups == 6
    assert found.used == tuple(ResourceControl)
    assert found.of(ResourceControl.MAX) == (
        GroupControls("/system.slice/shop.service", quota=Quota(20_000, 100_000, 5000)),
    )
    assert [each.weight for each in found.of(ResourceControl.WEIGHT)] == [900]
    assert [each.name for each in found.of(ResourceControl.IDLE)] == ["backup.service"]
    assert [each.name for each in found.cpusets] == ["user.slice"]


def test_below_a_group_without_the_controller_nothing_is_read(mount: Path) -> None:
    """Files of controllers that are not enabled there do not belong to the kernel."""
    usual(mount, "/user.slice/app.scope", cpu_weight="900\n")
    assert read_controls(mount).used == ()


def test_a_container_has_the_limits_of_its_root(tmp_path: Path) -> None:
    """Its root is a group of the host, with its own files."""
    usual(tmp_path, "/", cpu_max="150000 100000\n")
    (quota,) = read_controls(tmp_path).of(ResourceControl.MAX)
    assert quota.quota is not None
    assert quota.quota.cpus == 1.5
    assert quota.name == "/"


def test_a_huge_tree_is_read_in_part_and_that_is_said(mount: Path) -> None:
    """Only a bounded number of groups is read, those near the root first."""
    for number in range(40):
        usual(mount, f"/system.slice/s{number}.service")
    found = read_controls(mount, most=10)
    assert not found.complete
    assert found.groups == 9
    assert read_controls(mount, most=43).complete


def test_groups_that_go_meanwhile_are_left_out(mount: Path) -> None:
    """A group without files was removed after its name was read."""
    (mount / "system.slice" / "gone.service").mkdir()
    (mount / "system.slice" / "link").symlink_to("/")
    assert read_controls(mount).used == ()


def test_names_are_hostile(mount: Path) -> None:
    """A name may contain anything except a slash; it is shown without characters that move a
    cursor."""
    usual(mount, "/system.slice/\x1b[2J.service", cpu_weight="50\n")
    folder = bytes(mount) + b"/system.slice/\xff" + b"x" * 200
    Path(folder.decode("utf-8", "surrogateescape")).mkdir()
    Path((folder + b"/cpu.weight").decode("utf-8", "surrogateescape")).write_text("7\n")
    found = read_controls(mount).of(ResourceControl.WEIGHT)
    assert len(found) == 2
    said = usage_words(ResourceControl.WEIGHT, found)
    assert said.isprintable()
    assert len(said) < 200


def test_units_are_said_in_their_own_words() -> None:
    """Units have a directive of systemd, other groups have a file; not all are listed."""
    units = [GroupControls(f"/system.slice/{name}.service") for name in "abcde"]
    said = usage_words(ResourceControl.MAX, units[:2])
    assert said == "2 units here have CPUQuota= (a.service, b.service)"
    said = usage_words(ResourceControl.WEIGHT, units)
    assert said == "5 units here have CPUWeight= (a.service, b.service, c.service and 2 more)"
    pods = [GroupControls("/kubepods/pod1")]
    assert usage_words(ResourceControl.MAX, pods) == "1 group here has cpu.max (/kubepods/pod1)"
    inside = [GroupControls("/system.slice/a.service/worker")]
    assert "/system.slice/a.service/worker" in usage_words(ResourceControl.MAX, inside)


def test_without_the_second_version_that_is_said(tmp_path: Path) -> None:
    """If a machine's controllers are elsewhere, this does not mean that it uses nothing."""
    first = tmp_path / "cpu"
    first.mkdir()
    (tmp_path / "cgroup.controllers").write_text("memory pids\n")
    assert "v1" in read_controls(tmp_path, first_version=[first]).unread
    assert read_controls(tmp_path, first_version=[]) == ControlsInUse()
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert read_controls(tmp_path, first_version=[first]) == ControlsInUse()


@pytest.mark.parametrize(
    ("maximum", "burst", "quota"),
    [
        (b"max 100000\n", b"0\n", None),
        (b"20000 100000\n", b"", Quota(20_000, 100_000)),
        (b"20000 100000\n", b"10000\n", Quota(20_000, 100_000, 10_000)),
        (b"20000 0\n", b"", None),
        (b"0 100000\n", b"", None),
        (b"-1 100000\n", b"", None),
        (b"\xff\xfe", b"", None),
        (b"9" * 40 + b" 1", b"", None),
        (b"", b"", None),
    ],
)
def test_quotas_are_parsed(maximum: bytes, burst: bytes, quota: Quota | None) -> None:
    """A text that is no quota gives none."""
    assert parse_quota(maximum, burst) == quota


def test_weights_and_usage_are_parsed() -> None:
    """The default weight counts as none, and usage is found among the other lines."""
    assert [parse_weight(each) for each in (b"100\n", b"0\n", b"1\n", b"x", b"")] == [
        None,
        None,
        1,
        None,
        None,
    ]
    assert parse_usage(b"usage_usec 123\nuser_usec 100\n") == 123
    assert parse_usage(b"") is None
