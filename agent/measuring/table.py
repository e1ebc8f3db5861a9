# SPDX-License-Identifier: GPL-2.0-or-later
"""Common parts of the sources' tables."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator


class AgentTable(BaseModel):
    """A table of `agent.toml`: an unknown key or a value of another type is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Argument = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
FilePath = Annotated[str, StringConstraints(min_length=2, max_length=4096, pattern=r"^/[^\x00]*$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+(/\S*)?$", max_length=500)]
Port = Annotated[int, Field(ge=1, le=65535)]
# systemd's syntax of names (systemd.unit(5)), without journalctl's pattern characters.
Unit = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,254}$")]


class Take(StrEnum):
    """The statistic of one interval's samples.

    `rate` is samples (or counts) a second; `last` the newest value.
    """

    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    RATE = "rate"
    LAST = "last"


QUANTILES = {Take.P50: 0.5, Take.P90: 0.9, Take.P95: 0.95, Take.P99: 0.99}
# Statistics that apply to single values, in their unit.
OF_VALUES = frozenset({*QUANTILES, Take.MEAN, Take.MIN, Take.MAX, Take.LAST, Take.SUM})


class Lines(AgentTable):
    """The source of lines: a file that grows, or a systemd unit's log."""

    log: FilePath | None = None
    unit: Unit | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.log is None) == (self.unit is None):
            raise ValueError("exactly one of `log` (a file) and `unit` (of systemd) is needed")
        return self
