# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedulers on machines with several last-level caches and memory nodes, on a real kernel."""

import json
from pathlib import Path
from typing import Any

import pytest

from lab.topology import GuestTopology
from lab.vm import run_in_lab

from .machines import LIBRARY, MIDDLE

pytestmark = [pytest.mark.vm, pytest.mark.long]


def in_guest(
    tree: Path, machine: GuestTopology, *words: str, timeout: float = 400.0, memory: str = "2G"
) -> list[dict[str, Any]]:
    """What the guest's script said, without its last line, in which no scheduler was ejected."""
    done = run_in_lab(
        ["python", "-m", "tests.topology_lab.guest", *words],
        tree=tree,
        cpus=machine,
        memory=memory,
        timeout=timeout,
        # The kernel then writes its scheduling domains into its log.
        kernel_arguments=("sched_verbose",),
    )
    assert done.status == 0, done.error_text + done.text
    *said, kernel = [json.loads(line) for line in done.text.splitlines()]
    ends = [line for line in kernel["kernel"] if "disabled" in line]
    assert all("unregistered from user space" in line for line in ends), kernel
    return said


def test_the_guest_has_the_topology_that_was_asked_for(tree: Path) -> None:
    """Nodes, last-level caches and cores are those of the option, in sysfs and in the kernel's
    scheduling domains."""
    (found,) = in_guest(tree, MIDDLE, "machine")
    assert found["cpus"] == 16
    assert found["nodes"] == {"0": list(range(8)), "1": list(range(8, 16))}
    assert found["llcs"] == [list(range(at, at + 4)) for at in range(0, 16, 4)]
    assert found["cores"] == [[at, at + 1] for at in range(0, 16, 2)]
    assert found["domains"] == ["0-3", "12-15", "4-7", "8-11"]


def loaded(tree: Path, names: list[str]) -> None:
    said = in_guest(tree, MIDDLE, "load", *names, timeout=60 + 20 * len(names))
    assert [each["line"] for each in said] == names
    for each in said:
        assert each["trouble"] == [], each
        assert each["hackbench"] == 0, each


def test_the_library_survives_load_and_hotplug(tree: Path) -> None:
    """Every scheduler lets hackbench end while a CPU goes and comes back, and is not ejected."""
    loaded(tree, list(LIBRARY))
