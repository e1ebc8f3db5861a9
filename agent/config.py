# SPDX-License-Identifier: GPL-2.0-or-later
"""`/etc/schedpilot/agent.toml`, checked completely before anything starts.

One `Fault(BAD_CONFIG)` reports every problem of the file with its key, and an unknown key with the
nearest known one. A missing file means the defaults.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.claude.settings import Claude
from agent.measuring.measure import MeasureEntry
from agent.measuring.table import AgentTable
from process import FaultType
from process.invalid import valid_tables
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


def parse_config(text: str, where: str) -> AgentConfig:
    """Parse the text of a configuration; `where` (its path) goes into any fault.

    Raises:
        Fault: BAD_CONFIG, with every problem as a line of `details`.
    """
    raw = parse_toml(text, where=where, type=FaultType.BAD_CONFIG, what="the configuration")
    return valid_tables(
        AgentConfig,
        raw,
        type=FaultType.BAD_CONFIG,
        what="the configuration",
        where=where,
        hint="correct the keys named above; docs/agent.md lists them all",
    )


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
