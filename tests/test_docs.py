# SPDX-License-Identifier: GPL-2.0-or-later
"""The names in the documents exist: commands, targets, links, dependencies."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from cli.commands import app
from daemon.api.models.candidates import Gate
from lab.recipe import PACKAGES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
]


def code_of(text: str) -> Iterator[str]:
    """Each line of a fenced block, and each inline code span, of a Markdown text."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def commands_in(text: str, program: str) -> set[str]:
    """The first words after `program` in code that runs it."""
    found = set()
    for code in code_of(text):
        if match := re.match(rf"(?:sudo )?{program} +([a-z][a-z0-9-]*(?: [a-z][a-z-]*)?)", code):
            found.add(match[1])
    return found


def targets() -> set[str]:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(phony.split())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_target_exists(document: Path) -> None:
    """Every target in a document is in the Makefile."""
    named = {words.split()[0] for words in commands_in(document.read_text(), "make")}
    assert named <= targets()


def test_every_target_is_written() -> None:
    """A target that is declared phony has a rule."""
    makefile = (ROOT / "Makefile").read_text()
    assert targets() == {
        each for each in targets() if re.search(rf"^{each}:", makefile, re.MULTILINE)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_subcommand_exists(document: Path) -> None:
    """Each `schedpilot WORD` in a document is a word of the command."""
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    unknown = set()
    for words in commands_in(document.read_text(), "schedpilot"):
        first, _, second = words.partition(" ")
        known = command.commands.get(first)
        wrong_second = isinstance(known, TyperGroup) and second and second not in known.commands
        if known is None or wrong_second:
            unknown.add(words)
    assert not unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    """Links inside the tree lead to an existing file."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (document.parent / link).exists()] == []


def test_every_gate_has_its_row() -> None:
    """docs/cli.md has a row for each gate, in their order; docs/glossary.md lists them likewise."""
    table = (ROOT / "docs" / "cli.md").read_text().partition("| gate | asks |")[2]
    rows = table.partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE) == list(Gate)
    assert f": {', '.join(Gate)} (`Gate`)" in (ROOT / "docs" / "glossary.md").read_text()


def named_dependencies() -> set[str]:
    """The first cells of the tables of docs/dependencies.md, and its code spans."""
    text = (ROOT / "docs" / "dependencies.md").read_text()
    cells = re.findall(r"^\| *([^|]+?) *\|", text, re.MULTILINE)
    return {name for cell in cells for name in cell.split(", ")} | set(code_of(text))


def test_every_python_dependency_is_explained() -> None:
    """docs/dependencies.md names each requirement of pyproject.toml, and no others."""
    manifest = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = manifest["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
        *manifest["build-system"]["requires"],
    ]
    names = {re.split(r"[\[<>=!~ ]", each)[0] for each in wanted} - {project["name"]}
    assert names <= named_dependencies()
    text = (ROOT / "docs" / "dependencies.md").read_text()
    python = text.split("## Programs on the machine")[0]
    listed = set(re.findall(r"^\| ([a-z0-9_-]+) \|", python, re.MULTILINE)) - {"package"}
    assert listed == names


def test_every_debian_package_is_explained() -> None:
    """docs/dependencies.md names each package that the set-up or the lab installs."""
    setup = (ROOT / "packaging" / "setup").read_text()
    (host,) = re.findall(r'^PACKAGES="\n(.*?)"$', setup, re.MULTILINE | re.DOTALL)
    # Kernels are asked for by a pattern: `?name(^linux-modules-7…)`.
    guest = {re.sub(r"\?name\(\^([a-z-]+)-\d.*", r"\1", each) for each in PACKAGES}
    assert {*host.split(), *guest} <= named_dependencies()
