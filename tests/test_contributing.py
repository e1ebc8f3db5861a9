# SPDX-License-Identifier: GPL-2.0-or-later
"""CONTRIBUTING.md leads to existing files, and its commands work."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
WALKS = TEXT.split("\n## Add ")[1:]
# Names that the reader chooses.
PLACEHOLDERS = ("NAME", "SUBJECT")


def paths(text: str) -> list[str]:
    """The paths in the first column of the tables of `text`."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [path for cell in cells for path in re.findall(r"`([^`]+)`", cell)]


def test_there_is_a_walk_for_each_kind_of_change() -> None:
    """There is one for a scheduler, gate, MCP tool, route and property of the language, and it
    names its files."""
    titles = [walk.splitlines()[0] for walk in WALKS]
    for word in ("scheduler", "gate", "MCP tool", "route", "property"):
        assert [title for title in titles if word in title], word
    assert all(len(paths(walk)) >= 5 for walk in WALKS)


def test_every_path_is_there() -> None:
    """Files exist; for a file that the reader makes, the folder exists."""
    missing = []
    for path in paths(TEXT):
        fixed = path
        for word in PLACEHOLDERS:
            fixed = fixed.split(word)[0]
        place = ROOT / fixed
        there = place.exists() if fixed == path else place.parent.is_dir()
        if not there:
            missing.append(path)
    assert missing == []


def test_the_tests_it_names_are_there() -> None:
    """The word after pytest in a command is a file or folder of the tree."""
    named = re.findall(r"pytest -q ((?:tests\S* ?)+)", TEXT)
    assert len(named) >= len(WALKS)
    files = [each for words in named for each in words.split()]
    assert [each for each in files if not (ROOT / each).exists()] == []
