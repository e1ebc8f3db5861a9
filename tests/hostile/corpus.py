# SPDX-License-Identifier: GPL-2.0-or-later
"""Names and command lines that a stranger might choose (`corpus.toml`), and harmless ones."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_server.untrusted import outside_marks

# Stands before and behind each name, so that any part of it is recognised wherever it comes out;
# its capital and its mark make that no legal id, name or word of ours.
SIGN = "Zq!xj"


@dataclass(frozen=True)
class Hostile:
    """One name. `kind` says what has the name: process, cgroup, file or command."""

    kind: str
    text: str
    reason: str

    @property
    def signed(self) -> str:
        return f"{SIGN}{self.text}{SIGN}"


CORPUS = tuple(
    Hostile(each["kind"], each["text"] * each.get("repeat", 1), each["reason"])
    for each in tomllib.loads(Path(__file__).with_name("corpus.toml").read_text())["name"]
)


def strings_in(value: Any) -> Iterator[str]:
    """All texts in JSON data, and the names of its fields."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from strings_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings_in(each)


def unmarked(text: str) -> bool:
    """Whether some part of a signed name is outside of marks."""
    return SIGN in outside_marks(text)


def acts(text: str) -> bool:
    """Whether something in the text moves a cursor, ends a line or is invisible."""
    return not text.replace("\n", "").isprintable()
