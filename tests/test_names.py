# SPDX-License-Identifier: GPL-2.0-or-later
"""A class is known by its name alone: two classes have the same name only if they are the same
thing."""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent

# The same thing on both sides of a border that no import may cross, each with the reason.
SAME = {
    # The API's models may not import the history, nor the history the API's models.
    "Arm": "which side of a trial a window measures, in the API and in the history",
    "Decision": "what a verdict decides, in the API and in the history",
    # The lab prints it in a separate process; the daemon may not import the lab.
    "CanaryOutcome": "what became of a scheduler in the virtual machine",
    "CanaryPlace": "whether a virtual machine boots here",
}


def packages() -> list[Path]:
    """The project's folders that are Python packages, except for the tests."""
    folders = {path.parent for path in ROOT.glob("*/__init__.py")}
    return sorted(folders - {ROOT / "tests"})


def classes_of(files: Iterable[Path], root: Path) -> dict[str, list[str]]:
    """Where each class is defined, at any depth, as `file:line` by its name."""
    found = defaultdict(list)
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path.relative_to(root)}:{node.lineno}")
    return found


def shared(classes: Mapping[str, list[str]]) -> list[str]:
    """A line for each name that several classes have."""
    return [
        f"{name}: {', '.join(places)}"
        for name, places in sorted(classes.items())
        if len(places) > 1 and name not in SAME
    ]


def all_classes() -> dict[str, list[str]]:
    files = [path for folder in packages() for path in sorted(folder.rglob("*.py"))]
    return classes_of(files, ROOT)


def test_no_two_classes_share_a_name() -> None:
    """A reader of a class's name knows which class it is without looking at the imports."""
    found = shared(all_classes())
    assert not found, "\n".join(found)


def test_every_exception_is_needed() -> None:
    """A name that only one class has needs no exception."""
    classes = all_classes()
    assert {name for name in SAME if len(classes[name]) < 2} == set()


def test_a_name_that_is_taken_is_found_with_its_places(tmp_path: Path) -> None:
    """This includes classes inside a function or another class."""
    (tmp_path / "one.py").write_text("class A:\n    pass\n")
    (tmp_path / "two.py").write_text("def f():\n    class A:\n        pass\n")
    found = shared(classes_of([tmp_path / "one.py", tmp_path / "two.py"], tmp_path))
    assert found == ["A: one.py:1, two.py:2"]
