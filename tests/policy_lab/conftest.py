# SPDX-License-Identifier: GPL-2.0-or-later
"""The cookbook's schedulers, compiled on the host for the lab's kernel, once for all tests here."""

from pathlib import Path

import pytest

from tests.policy_lab.cookbook import tree_with_policies
from tests.target import Target


@pytest.fixture(scope="session")
def tree(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout for the lab, with an object for each line."""
    folder = tmp_path_factory.mktemp("policies")
    return tree_with_policies(
        folder, lambda source, out, name: target.build(source, out, name=name)
    )
