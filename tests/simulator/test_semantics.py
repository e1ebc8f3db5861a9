# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulator's answer about a scheduler, compared with a real kernel.

A few schedulers of these tests are attached in one boot of the lab (guest_semantics.py), where
processes do what the scenarios' tasks do. The whole set was compared once in this way; these
schedulers remain.
"""

import json
import re
import shutil
from typing import Any

import pytest

from lab.tree import copy_files, files_of, project_root
from simulator.scenario import SimulatedMachine, pinned

from .conftest import BAD, Workbench

pytestmark = pytest.mark.vm

BROKEN = ("ignores_affinity", "missing_queue", "twice")
GUEST_S = 200.0


@pytest.fixture(scope="module")
def seen(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How each scheduler ended in the kernel."""
    from lab.vm import run_in_lab

    folder = tmp_path_factory.mktemp("semantics")
    tree = folder / "tree"
    copy_files(project_root(), files_of(project_root()), tree)
    (tree / "semantics").mkdir()
    for name in (*BROKEN, "maps", "sequence"):
        built = bench.target.build(BAD / f"{name}.bpf.c", folder).require()
        shutil.copy(built, tree / "semantics")
    done = run_in_lab(
        ["python", "tests/simulator/guest_semantics.py", "/out/seen.json"],
        timeout=GUEST_S,
        out=folder,
        tree=tree,
    )
    assert done.status == 0, done.text + done.error_text
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def general(message: str) -> str:
    """The message without parts that differ between machines: names, pids, times."""
    return re.sub(r"[\w/:.-]+\[\d+\]", "TASK", message)


@pytest.mark.parametrize("name", BROKEN)
def test_the_kernel_says_what_the_simulator_said(
    bench: Workbench, seen: dict[str, Any], name: str
) -> None:
    """Both eject a broken scheduler, with the same message."""
    ejection = bench.run(bench.beside(name), pinned(SimulatedMachine(2))).ejection
    assert ejection is not None
    assert general(ejection.message) in general(seen[name]["message"])


def test_maps_do_in_the_kernel_as_here(seen: dict[str, Any]) -> None:
    """The scheduler that checks maps, loops and masks finds no error there either."""
    assert seen["maps"] == {"kind": 0, "message": ""}


def test_changes_are_told_in_the_kernel_as_here(seen: dict[str, Any]) -> None:
    """The order is stopping, quiescent, the change, runnable, running; and a move if the task has
    to leave."""
    affine, nice, _, cgroup, end = seen["sequence"]["message"].split()
    assert "SqmrRseR" in affine
    assert "SqwrR" in nice.replace("wrsR", "wrR")
    assert "pSqcrR" in cgroup
    assert end.endswith("SqxX")
