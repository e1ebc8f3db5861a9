# SPDX-License-Identifier: GPL-2.0-or-later
"""What the documents say of measurements is so: every piece of configuration is valid."""

import re
from pathlib import Path

import pytest

from agent.config import parse_config
from agent.measuring.measure import NAMES, SOURCES
from agent.measuring.pattern import Pattern

OPERATIONS = (Path(__file__).parent.parent.parent / "docs/operations.md").read_text()
AGENT = (Path(__file__).parent.parent.parent / "docs/agent.md").read_text()
SECTION = re.search(r"\n## Measurements.*?(?=\n## )", OPERATIONS, re.DOTALL)
assert SECTION is not None
PIECES = re.findall(r"```toml\n(.*?)```", SECTION[0], re.DOTALL)


@pytest.mark.parametrize("piece", PIECES, ids=lambda text: text.split('"')[1])
def test_every_piece_is_valid_as_it_stands(piece: str) -> None:
    """Each is a measure or two, with a name of its own."""
    assert parse_config(piece, "docs/operations.md").measure


def test_every_source_has_its_piece() -> None:
    """All of them together are one configuration, in which each source is there."""
    config = parse_config("".join(PIECES), "docs/operations.md")
    assert {each.source for each in config.measure} == set(NAMES)


def test_the_first_pattern_finds_what_it_says() -> None:
    """A line as such a service writes it."""
    config = parse_config(PIECES[0], "docs/operations.md")
    journal = config.measure[0].journal
    assert journal is not None
    assert Pattern(journal.pattern).number("GET /buy took 12.5 ms") == 12.5


def test_every_key_is_in_the_table() -> None:
    """docs/agent.md names each source, and each key of it."""
    for source, table in SOURCES.items():
        (row,) = re.findall(rf"^\| `measure\.{source}` \|.*$", AGENT, re.MULTILINE)
        assert [key for key in table.model_fields if f"`{key}`" not in row and key not in row] == []
