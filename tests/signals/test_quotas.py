# SPDX-License-Identifier: GPL-2.0-or-later
"""The use of cgroups with a quota, read from a tree of files."""

import shutil
from pathlib import Path

import pytest

from bpf.kernel.controls import Quota
from daemon.decide.observation import QuotaUse
from daemon.signals.quotas import SEARCH_S, QuotaReader

FIFTH = Quota(20_000, 100_000)


class Tree:
    """Cgroups, and a clock."""

    def __init__(self, mount: Path) -> None:
        self.mount, self.now = mount, 100.0
        (mount / "cgroup.controllers").write_text("cpu\n")
        (mount / "cgroup.subtree_control").write_text("cpu\n")

    def uses(self, name: str, usage_us: int, maximum: str = "20000 100000") -> None:
        folder = self.mount / name
        folder.mkdir(exist_ok=True)
        (folder / "cpu.max").write_text(f"{maximum}\n")
        (folder / "cpu.max.burst").write_text("0\n")
        (folder / "cpu.stat").write_text(f"usage_usec {usage_us}\nuser_usec {usage_us}\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.fixture
def reader(tree: Tree) -> QuotaReader:
    return QuotaReader(mount=tree.mount, clock=lambda: tree.now)


def test_each_reading_gives_the_use_since_the_last(tree: Tree, reader: QuotaReader) -> None:
    """The first reading gives nothing, and groups without a quota are left out."""
    tree.uses("shop.service", 1_000_000)
    tree.uses("free.service", 1_000_000, "max 100000")
    assert reader.read() == ()
    tree.now += 5
    tree.uses("shop.service", 2_500_000)
    assert reader.read() == (QuotaUse("/shop.service", 1_500_000, 5e6, FIFTH),)
    tree.now += 1
    (again,) = reader.read()
    assert again.used_us == 0


def test_groups_that_go_and_quotas_that_change_are_left_out(
    tree: Tree, reader: QuotaReader
) -> None:
    """Nothing is reported for a group that is gone, or for use under two quotas."""
    for name in ("a", "b", "c"):
        tree.uses(name, 0)
    reader.read()
    tree.now += 1
    shutil.rmtree(tree.mount / "a")
    tree.uses("b", 100, "50000 100000")
    tree.uses("c", 100)
    assert [each.group for each in reader.read()] == ["/c"]
    tree.now += 1
    tree.uses("b", 300, "50000 100000")
    assert [(each.group, each.used_us) for each in reader.read()] == [("/b", 200), ("/c", 0)]


def test_new_quotas_are_found_now_and_then(tree: Tree, reader: QuotaReader) -> None:
    """The tree is searched when reading begins, and seldom after that."""
    reader.read()
    tree.uses("shop.service", 0)
    tree.now += SEARCH_S / 2
    reader.read()
    tree.now += SEARCH_S
    reader.read()
    tree.now += 1
    assert [each.group for each in reader.read()] == ["/shop.service"]
    reader.forget()
    assert reader.read() == ()


def test_a_name_that_is_no_text_is_read_too(tree: Tree, reader: QuotaReader) -> None:
    """A group's name consists of bytes."""
    tree.uses("a\udcff.service", 0)
    reader.read()
    tree.now += 1
    assert [each.group for each in reader.read()] == ["/a\udcff.service"]


def test_without_cgroups_there_is_nothing(tmp_path: Path) -> None:
    """Nothing is raised if the hierarchy is missing."""
    assert QuotaReader(mount=tmp_path / "none").read() == ()
