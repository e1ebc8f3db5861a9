# SPDX-License-Identifier: GPL-2.0-or-later
"""Imports go down the list of docs/architecture.md, and nowhere else."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What each package may import from the project, besides itself and `process`. A dotted name
# permits that part only. A package that is not listed may import everything; nobody imports it.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "process": (),
    "bpf": (),
    "systemd": (),
    "lab": (),
    "simulator": ("bpf",),
    "scheduler_library": ("bpf",),
    "daemon": ("bpf", "scheduler_library", "simulator"),
    "mcp_server": ("daemon.api",),
    "agent": ("daemon.api", "mcp_server"),
    "cli": ("daemon.api",),
}
OUTERMOST = ("benchmarks", "demo", "tests")


@dataclass(frozen=True)
class Import:
    line: int
    # Names that may be in the table for it: `from a import b` is `a` or `a.b`.
    names: tuple[str, ...]

    @property
    def top(self) -> str:
        return self.names[0].partition(".")[0]


def imports_of(source: str, package: tuple[str, ...]) -> Iterator[Import]:
    """Every import in `source`, at any depth, of a module that lies in `package`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, (alias.name,))
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(node.lineno, (base, f"{base}.{alias.name}"))
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2]
            in ("import_module", "__import__", "run_module")
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            yield Import(node.lineno, (node.args[0].value,))


def offences(source: str, path: Path) -> list[str]:
    """The imports in `source` that the table forbids for the file at `path` (below the root)."""
    package = path.parent.parts
    own = package[0]
    allowed = (own, "process", *MAY_IMPORT[own])
    found = []
    for each in imports_of(source, package):
        if each.top not in MAY_IMPORT and each.top not in OUTERMOST:
            continue
        if not any(
            name == fence or name.startswith(f"{fence}.")
            for name in each.names
            for fence in allowed
        ):
            found.append(f"{path}:{each.line}: {own} may not import {each.names[-1]}")
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    """Each file of a package imports from the project only what the table permits."""
    found = [
        offence
        for path in sorted((ROOT / package).rglob("*.py"))
        for offence in offences(path.read_text(), path.relative_to(ROOT))
    ]
    assert not found, "\n".join(found)


def test_every_package_has_its_row() -> None:
    """A new folder with Python in it is added to the table before it is used."""
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders - set(OUTERMOST) <= set(MAY_IMPORT)


def modules_of(root: Path, packages: Iterable[str]) -> dict[str, Path]:
    """The modules below `root`, by their dotted names."""
    found = {}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


def circles(modules: dict[str, Path]) -> list[list[str]]:
    """Groups of modules that import each other, at any depth, including imports for types."""
    graph = {}
    for name, path in modules.items():
        inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
        found = set()
        for each in imports_of(path.read_text(), tuple(inside.split("."))):
            # `from a import b` is the module `a.b` if it exists, else `a`.
            found.add(next((one for one in reversed(each.names) if one in modules), name))
        graph[name] = found - {name}
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as error:
        return [error.args[1]]
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    """Of two files at most one imports the other, so each can be read without its users."""
    found = circles(modules_of(ROOT, (*MAY_IMPORT, *OUTERMOST)))
    assert not found, " → ".join(found[0])


def test_a_circle_is_named_by_its_files(tmp_path: Path) -> None:
    """An import for types or inside a function closes a circle as well."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one.py").write_text("def f():\n    from a import two")
    (tmp_path / "a/two.py").write_text("if TYPE_CHECKING:\n    from a.one import f")
    assert sorted(set(circles(modules_of(tmp_path, ["a"]))[0])) == ["a.one", "a.two"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("bpf/a.py", "import daemon.config"),
        ("cli/a.py", "from daemon import loader"),
        ("cli/a.py", "def f():\n    from daemon.loader import load"),
        ("agent/a.py", "import importlib\nimportlib.import_module('bpf.build.objects')"),
        ("daemon/api/a.py", "from ...cli import main"),
        ("lab/a.py", "import tests"),
    ],
)
def test_a_forbidden_import_is_named_with_its_line(path: str, source: str) -> None:
    """The check finds plain, late, relative and dynamic imports, and their lines."""
    found = offences(source, Path(path))
    assert [each.partition(": ")[0] for each in found] == [f"{path}:{len(source.splitlines())}"]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli/a.py", "from daemon import api"),
        ("cli/a.py", "from daemon.api.models import Event\nfrom process import Fault\nimport json"),
        ("daemon/a.py", "from . import config\nfrom .api import models"),
    ],
)
def test_an_allowed_import_passes(path: str, source: str) -> None:
    """Imports from the same package, from packages below it and from other projects are
    accepted."""
    assert offences(source, Path(path)) == []
