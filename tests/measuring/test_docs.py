# SPDX-License-Identifier: GPL-2.0-or-later
"""The documents about measurements are right: every piece of configuration is valid."""

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
    """Each piece is one or two measures with unique names."""
    assert parse_config(piece, "docs/operations.md").measure


def test_every_source_has_its_piece() -> None:
    """All pieces together are one configuration, and each source appears in it."""
    config = parse_config("".join(PIECES), "docs/operations.md")
    assert {each.source for each in config.measure} == set(NAMES)


def test_the_first_pattern_finds_what_it_says() -> None:
    """The pattern matches a line that such a service writes."""
    config = parse_config(PIECES[0], "docs/operations.md")
    journal = config.measure[0].journal
    assert journal is not None
    assert Pattern(journal.pattern).number("GET /buy took 12.5 ms") == 12.5


def test_every_key_is_in_the_table() -> None:
    """docs/agent.md names each source and all its keys."""
    for source, table in SOURCES.items():
        (row,) = re.findall(rf"^\| `measure\.{source}` \|.*$", AGENT, re.MULTILINE)
        assert [key for key in table.model_fields if f"`{key}`" not in row and key not in row] == []
