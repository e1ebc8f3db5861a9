# SPDX-License-Identifier: GPL-2.0-or-later
"""Output of the command: tables for people, JSON for scripts, faults on standard error.

Rich markup is off in every console, so that a name from the system cannot style, link or break the
output; `plain` makes control characters visible.
"""

import json
import os
import sys
from collections.abc import Sequence
from functools import cache

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.api.display import displayable

# Without a terminal lines are not wrapped: a script cuts columns.
PIPE_WIDTH = 500


def _console(error: bool) -> Console:
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    return Console(stderr=error, markup=False, highlight=False, emoji=False, width=width)


@cache
def out() -> Console:
    """Standard output."""
    return _console(error=False)


@cache
def err() -> Console:
    """Standard error: faults, notes and progress."""
    return _console(error=True)


def plain(text: str, limit: int = 200, style: str = "") -> Text:
    """Hostile text as one harmless line."""
    return Text(displayable(text, limit), style=style)


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the house style; the columns named in `right` hold numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        numeric = column in right
        made.add_column(
            column, justify="right" if numeric else "left", no_wrap=numeric, overflow="fold"
        )
    return made


def facts(pairs: Sequence[tuple[str, str | Text]]) -> Table:
    """Names on the left, values on the right; strings count as hostile and are made harmless."""
    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, plain(value, 2000) if isinstance(value, str) else value)
    return made


def heading(text: str) -> None:
    out().print()
    out().print(Text(text, style="bold"))


def say(text: str, style: str = "") -> None:
    """One line on standard output."""
    out().print(plain(text, 4000, style), soft_wrap=True)


def note(text: str, style: str = "dim") -> None:
    """One line on standard error, for people only."""
    err().print(plain(text, 4000, style), soft_wrap=True)


def document(value: BaseModel) -> object:
    """A model as plain JSON data; values that JSON lacks (infinity) become null."""
    return json.loads(value.model_dump_json())


def as_json(value: BaseModel | Sequence[BaseModel] | dict[str, object]) -> None:
    """One JSON document on standard output; ASCII only, so that a terminal interprets nothing in
    it.
    """
    plain_data: object = value
    if isinstance(value, BaseModel):
        plain_data = document(value)
    elif not isinstance(value, dict):
        plain_data = [document(each) for each in value]
    sys.stdout.write(json.dumps(plain_data, indent=2, ensure_ascii=True) + "\n")
