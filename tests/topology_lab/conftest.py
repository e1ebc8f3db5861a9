# SPDX-License-Identifier: GPL-2.0-or-later
"""The library and the cookbook, compiled on the host for the lab's kernel, once for all tests."""

import json
from pathlib import Path

import pytest

from lab.tree import project_root
from tests.policy_lab.cookbook import FOLDER, INDEX, tree_with_policies
from tests.target import Target

from .machines import LIBRARY, MIDDLE


@pytest.fixture(scope="session")
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout for the lab, with an object for each scheduler and each line."""
    folder = tmp_path_factory.mktemp("schedulers")
    tree = tree_with_policies(
        folder, lambda source, out, name: target.build(source, out, name=name), MIDDLE.cpus
    )
    index = tree / FOLDER / INDEX
    listed = json.loads(index.read_text("utf-8"))
    for name in LIBRARY:
        source = project_root() / "scheduler_library" / "schedulers" / name / f"{name}.bpf.c"
        target.build(source, tree / FOLDER).require()
        listed.append({"line": name, "name": name, "bits": {}, "expected_runtime": False})
    index.write_text(json.dumps(listed), "utf-8")
    return tree
