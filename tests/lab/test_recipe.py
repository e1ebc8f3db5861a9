# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipe's key: which changes rebuild a root, and which do not."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.recipe import Recipe, recipe_for
from process import Fault, FaultType

MANIFEST = """
[build-system]
requires = ["builder>=1"]
[project]
dependencies = [{dependencies}]
[project.optional-dependencies]
dev = ["pytest>=8", "hypothesis>=6", "painter>=3"]
"""


def project(folder: Path, dependencies: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(MANIFEST.format(dependencies=dependencies))
    return folder


@pytest.mark.parametrize(
    "change",
    [
        {"packages": ("bash",)},
        {"suite": "forky"},
        {"excluded_paths": ()},
        {"masked_units": ()},
        {"steps": 0},
    ],
)
def test_another_recipe_has_another_key(change: dict[str, object]) -> None:
    """Everything that decides what the root contains also decides its key."""
    recipe = Recipe(requirements=("psutil",))
    assert replace(recipe, **change).key != recipe.key  # type: ignore[arg-type]


def test_the_same_recipe_has_the_same_key(tmp_path: Path) -> None:
    """Requirements in another order do not build a second root."""
    one = project(tmp_path / "one", '"psutil>=6", "rich>=13"')
    two = project(tmp_path / "two", '"rich>=13", "psutil>=6"')
    assert recipe_for(one).key == recipe_for(two).key


def test_a_changed_requirement_changes_the_key(tmp_path: Path) -> None:
    """The guest always has the versions that the project asks for."""
    one = project(tmp_path / "one", '"psutil>=6"')
    two = project(tmp_path / "two", '"psutil>=7"')
    assert recipe_for(one).key != recipe_for(two).key


def test_the_guest_gets_what_it_needs_to_run_and_to_test(tmp_path: Path) -> None:
    """The guest gets only those development tools that run tests."""
    requirements = recipe_for(project(tmp_path / "one", '"psutil>=6"')).requirements
    assert requirements == ("builder>=1", "hypothesis>=6", "psutil>=6", "pytest>=8")


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path) -> None:
    """Outside a checkout the fault names the missing file."""
    with pytest.raises(Fault) as caught:
        recipe_for(tmp_path)
    assert caught.value.type is FaultType.NOT_FOUND
    assert caught.value.where == str(tmp_path / "pyproject.toml")
