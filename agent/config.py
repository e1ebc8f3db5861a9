# SPDX-License-Identifier: GPL-2.0-or-later
"""`/etc/schedpilot/agent.toml`, checked completely before anything starts.

One `Fault(BAD_CONFIG)` reports every problem of the file with its key, and an unknown key with the
nearest known one. A missing file means the defaults.
"""

import difflib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from agent.claude.settings import Claude, DayBudget, EpisodeBudget, Price
from agent.measuring.measure import SOURCES, MeasureEntry
from agent.measuring.table import AgentTable
from process import Fault, FaultType
from process.text_file import parse_toml, read_text

PATH = Path("/etc/schedpilot/agent.toml")
# A configuration is a page of text.
LARGEST_BYTES = 64 * 1024


class Advising(AgentTable):
    """Which advisor, and how much it may try before an episode closes."""

    name: Literal["offline", "claude"] = "offline"
    most_trials: Annotated[int, Field(ge=1, le=20)] = 3


class AgentConfig(AgentTable):
    advisor: Advising = Advising()
    claude: Claude | None = None
    measure: Annotated[list[MeasureEntry], Field(max_length=100)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _model_known(self) -> Self:
        if self.advisor.name == "claude" and self.claude is None:
            raise ValueError("the advisor claude needs the table [claude], with `model` and prices")
        return self

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [each.name for each in self.measure]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"measured twice: {', '.join(twice)}")
        return self


_TABLES: dict[str, type[BaseModel]] = {
    "advisor": Advising,
    "claude": Claude,
    "episode": EpisodeBudget,
    "day": DayBudget,
    "prices": Price,
    "measure": MeasureEntry,
    **SOURCES,
}


def _problem(error: ErrorDetails) -> str:
    """One line for one pydantic error: the key, then the problem."""
    path = error["loc"]
    key = ""
    model: type[BaseModel] = AgentConfig
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else (f".{part}" if key else str(part))
    for part in path[:-1]:
        model = _TABLES.get(str(part), model)
    message: str = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), list(model.model_fields), n=1, cutoff=0.5)
        message = "unknown key" + (f" (nearest known: {near[0]!r})" if near else "")
    elif error["type"] == "missing":
        message = "this key is missing"
    return f"{key or 'the whole file'}: {message}"


def parse_config(text: str, where: str) -> AgentConfig:
    """Parse the text of a configuration; `where` (its path) goes into any fault.

    Raises:
        Fault: BAD_CONFIG, with every problem as a line of `details`.
    """
    raw = parse_toml(text, where=where, type=FaultType.BAD_CONFIG, what="the configuration")
    try:
        return AgentConfig.model_validate(raw)
    except ValidationError as error:
        problems = tuple(_problem(each) for each in error.errors())
        raise Fault(
            FaultType.BAD_CONFIG,
            f"the configuration has {len(problems)} problem{'s' if len(problems) > 1 else ''}",
            where=where,
            why=problems[0],
            hint="correct the keys named above; docs/agent.md lists them all",
            details=problems,
        ) from None


def read_config(path: Path) -> AgentConfig:
    """Read the configuration; the defaults if the file does not exist.

    Raises:
        Fault: BAD_CONFIG, also if the file cannot be read or is far too large.
    """
    try:
        text = read_text(
            path,
            largest_bytes=LARGEST_BYTES,
            type=FaultType.BAD_CONFIG,
            what="the configuration",
        )
    except FileNotFoundError:
        return AgentConfig()
    return parse_config(text, str(path))
