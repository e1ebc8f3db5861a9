# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that schedulers share is in `bpf/include/schedpilot`, and only there."""

import re
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import pytest

from bpf.paths import INCLUDE, SHARED

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "scheduler_library/schedulers").glob("*/*.bpf.c"))
TEMPLATES = sorted((ROOT / "scheduler_library/policy/templates").rglob("*.j2"))
HEADERS = sorted(SHARED.glob("*.bpf.h"))
# In one piece. Every scheduler ends with the same table of callbacks.
SCREEN_LINES = 24
_INCLUDED = re.compile(r"^#include <(schedpilot/[\w.]+)>", re.MULTILINE)


def included(path: Path) -> set[str]:
    return set(_INCLUDED.findall(path.read_text()))


def lines_of(path: Path) -> list[str]:
    """The lines of a scheduler, without its own name."""
    name = path.name.partition(".")[0]
    text = re.sub(rf"\b{name}_", "", path.read_text())
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize(
    ("one", "other"), list(combinations(SOURCES, 2)), ids=lambda path: str(path.parent.name)
)
def test_no_two_schedulers_share_a_screen_of_lines(one: Path, other: Path) -> None:
    found = SequenceMatcher(None, lines_of(one), lines_of(other), autojunk=False)
    longest = found.find_longest_match()
    shared = lines_of(one)[longest.a : longest.a + longest.size]
    assert longest.size <= SCREEN_LINES, "\n".join(shared)


@pytest.mark.parametrize("header", HEADERS, ids=lambda path: str(path.name))
def test_shared_code_is_used_by_several(header: Path) -> None:
    """Two schedulers, other headers or the policies' template use each shared header; else it
    belongs to its only user."""
    users = [path for path in (*SOURCES, *HEADERS, *TEMPLATES) if header != path]
    name = str(header.relative_to(INCLUDE))
    assert len([path for path in users if name in included(path)]) >= 2


@pytest.mark.parametrize("path", [*SOURCES, *HEADERS], ids=lambda path: str(path.name))
def test_what_is_included_is_there(path: Path) -> None:
    assert all((INCLUDE / name).is_file() for name in included(path))


def test_the_documentation_names_every_header() -> None:
    text = (ROOT / "docs/library.md").read_text()
    assert [path.name for path in HEADERS if f"`{path.name}`" not in text] == []
