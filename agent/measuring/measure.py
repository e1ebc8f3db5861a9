# SPDX-License-Identifier: GPL-2.0-or-later
"""One `[[measure]]` of `agent.toml`: a name, one source, and the statistic to take."""

from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from agent.measuring.access_logs import HAProxy, Nginx
from agent.measuring.journal import Journal
from agent.measuring.log import Log
from agent.measuring.mangohud import MangoHud
from agent.measuring.postgres import Postgres
from agent.measuring.query import Prometheus
from agent.measuring.redis import Redis
from agent.measuring.scrape import Scrape
from agent.measuring.statsd import StatsD
from agent.measuring.table import AgentTable, Argument, Take
from agent.measuring.uprobe import Uprobe, Usdt

SOURCES: dict[str, type[BaseModel]] = {
    "prometheus": Prometheus,
    "journal": Journal,
    "log": Log,
    "nginx": Nginx,
    "haproxy": HAProxy,
    "mangohud": MangoHud,
    "statsd": StatsD,
    "scrape": Scrape,
    "postgres": Postgres,
    "redis": Redis,
    "uprobe": Uprobe,
    "usdt": Usdt,
}
NAMES = ("command", *SOURCES)

# What may be taken from each kind of source; the first is the default. Sources that answer with one
# number are not listed.
_OF_SAMPLES = (
    *(Take.P99, Take.P95, Take.P90, Take.P50, Take.MEAN, Take.MIN, Take.MAX),
    *(Take.COUNT, Take.RATE),
)
_OF_COUNTERS = (Take.RATE, Take.MEAN, Take.COUNT)
TAKES: dict[str, tuple[Take, ...]] = {
    "journal": (*_OF_SAMPLES, Take.SUM, Take.LAST),
    "log": (*_OF_SAMPLES, Take.SUM, Take.LAST),
    "nginx": _OF_SAMPLES,
    "haproxy": _OF_SAMPLES,
    "mangohud": _OF_SAMPLES,
    "statsd": (*_OF_SAMPLES, Take.SUM, Take.LAST),
    "scrape": tuple(Take),
    "postgres": _OF_COUNTERS,
    "redis": _OF_COUNTERS,
    "uprobe": _OF_SAMPLES,
    "usdt": _OF_SAMPLES,
}
_USUAL = {"scrape": Take.LAST}


class MeasureEntry(AgentTable):
    """`name` is its name in objectives:

    `measurement NAME lower`. `take` is the statistic of one interval's samples.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,60}$")]
    command: Annotated[list[Argument], Field(min_length=1, max_length=64)] | None = None
    prometheus: Prometheus | None = None
    journal: Journal | None = None
    log: Log | None = None
    nginx: Nginx | None = None
    haproxy: HAProxy | None = None
    mangohud: MangoHud | None = None
    statsd: StatsD | None = None
    scrape: Scrape | None = None
    postgres: Postgres | None = None
    redis: Redis | None = None
    uprobe: Uprobe | None = None
    usdt: Usdt | None = None
    take: Annotated[Take, Field(strict=False)] | None = None
    unit: Annotated[str, StringConstraints(max_length=16)] = ""
    interval_s: Annotated[float, Field(ge=0.2, le=3600, strict=False)] = 5.0
    timeout_s: Annotated[float, Field(gt=0, le=600, strict=False)] = 5.0

    @property
    def source(self) -> str:
        """The name of its one source table."""
        return next(each for each in NAMES if getattr(self, each) is not None)

    @property
    def taken(self) -> Take | None:
        """The statistic; None for a source that answers with one number."""
        allowed = TAKES.get(self.source)
        return None if allowed is None else self.take or _USUAL.get(self.source, allowed[0])

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [each for each in NAMES if getattr(self, each) is not None]
        if len(given) != 1:
            listing = ", ".join(f"`{each}`" for each in NAMES[:-1])
            raise ValueError(f"exactly one of {listing} and `{NAMES[-1]}` is needed")
        allowed = TAKES.get(given[0])
        if self.take is not None and allowed is None:
            raise ValueError(f"`{given[0]}` answers with one number, so `take` does not apply")
        if self.take is not None and allowed is not None and self.take not in allowed:
            raise ValueError(f"`take` of `{given[0]}` is one of {', '.join(allowed)}")
        return self
