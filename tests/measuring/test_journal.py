# SPDX-License-Identifier: GPL-2.0-or-later
"""journalctl's output for an entry, whoever wrote it. The lab reads the real journal
(tests/systemd)."""

import json

import pytest

from agent.measuring.journal import message_of
from tests.measuring.reading_of import measure_of


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"MESSAGE": "took 5 ms"}, "took 5 ms"),
        ({"MESSAGE": list(b"took \xff 5 ms")}, "took \ufffd 5 ms"),
        # Longer than journalctl shows without --all.
        ({"MESSAGE": None}, None),
        ({"MESSAGE": [300, -1]}, None),
        ({"MESSAGE": ["a"]}, None),
        ({"MESSAGE": list(range(100)) * 1000}, None),
        ({"MESSAGE": {"a": 1}}, None),
        ({"MESSAGE": 5}, None),
        ({}, None),
        ([], None),
        ("text", None),
    ],
)
def test_an_entry_has_a_message_or_none(entry: object, message: str | None) -> None:
    """A message is text, or numbers for bytes that are not UTF-8; anything else is no line."""
    assert message_of(json.dumps(entry).encode()) == message


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_entry_is_no_line(raw: bytes) -> None:
    """Such output never ends the reading."""
    assert message_of(raw) is None


@pytest.mark.parametrize("unit", ["", "-a", "a b", "a\nb", "*.service", "a/b.service", "x" * 300])
def test_a_unit_has_a_units_name(unit: str) -> None:
    """An option, a pattern and a path are refused."""
    with pytest.raises(ValueError, match="unit"):
        measure_of(journal={"unit": unit, "pattern": "([0-9])"})
