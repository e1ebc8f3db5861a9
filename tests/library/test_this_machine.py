# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about the machine, against which policies are checked, are read and may be missing."""

import os
from pathlib import Path

import pytest

from scheduler_library.this_machine import machine_stamp, possible_cpus, this_machine, user_id


@pytest.mark.parametrize(("listed", "count"), [("0\n", 1), ("0-3\n", 4), ("0,2-127\n", 128)])
def test_cpus_are_counted_to_the_highest_number(tmp_path: Path, listed: str, count: int) -> None:
    """A policy may name a CPU that can be plugged in later, and CPUs in gaps."""
    (tmp_path / "possible").write_text(listed)
    assert possible_cpus(tmp_path / "possible") == count


def test_without_sysfs_the_cpus_are_those_there_are(tmp_path: Path) -> None:
    """A container without sysfs is no reason to refuse every policy."""
    assert possible_cpus(tmp_path / "possible") == os.cpu_count()


def test_users_are_known_by_name() -> None:
    """An unknown user is None, and so is a name that no user can have."""
    assert user_id("root") == 0
    assert user_id("no-such-user-here") is None
    assert user_id("root\0") is None
    assert this_machine().users("root") == 0


@pytest.mark.parametrize(
    ("text", "depends"),
    [
        ("slice 3ms", False),
        ('comm ~ "slower" { cpus 0-3; idle }', False),
        ("cpus fast", True),
        ("cpus node 0 and llc 0", True),
        ("smt avoid", True),
    ],
)
def test_only_what_names_cpus_by_topology_depends_on_it(
    tmp_path: Path, text: str, depends: bool
) -> None:
    """Other CPUs online make another question of such a policy, and of no other."""
    online = tmp_path / "system" / "cpu" / "online"
    online.parent.mkdir(parents=True)
    stamps = []
    for cpus in ("0-3", "0-1", "0-3"):
        online.write_text(cpus)
        stamps.append(machine_stamp(text, devices=tmp_path))
    first, other, again = stamps
    assert first == again
    assert (first != other) is depends
