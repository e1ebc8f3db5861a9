# SPDX-License-Identifier: GPL-2.0-or-later
"""The table `[claude]` of `/etc/schedpilot/agent.toml`."""

import ipaddress
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from agent.measuring.table import AgentTable
from mcp_server.voice import MOST_CHECKS

Money = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False, strict=False)]
Path = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^/[^\x00]*$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$")]


class Budget(AgentTable):
    """A limit on spending: calls, tokens in and out, seconds of waiting for the model, money."""

    calls: Annotated[int, Field(ge=0, le=1_000_000)]
    tokens: Annotated[int, Field(ge=0, le=10**12)]
    seconds: Annotated[float, Field(ge=0, le=86_400, strict=False)]
    money: Money


class EpisodeBudget(Budget):
    calls: Annotated[int, Field(ge=0, le=1_000)] = 16
    tokens: Annotated[int, Field(ge=0, le=10**9)] = 200_000
    seconds: Annotated[float, Field(ge=0, le=86_400, strict=False)] = 300.0
    money: Money = 1.0


class DayBudget(Budget):
    calls: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    tokens: Annotated[int, Field(ge=0, le=10**12)] = 2_000_000
    seconds: Annotated[float, Field(ge=0, le=86_400, strict=False)] = 3600.0
    money: Money = 10.0


class Price(AgentTable):
    """Prices of a million tokens, in the currency of the budgets.

    Without their own prices, tokens written to the cache cost 1.25 times and tokens read from it
    0.1 times the input.
    """

    input: Money
    output: Money
    cache_write: Money | None = None
    cache_read: Money | None = None


class Claude(AgentTable):
    """The model, its address, and the budgets."""

    model: ModelName
    base_url: Annotated[str, StringConstraints(max_length=500)] = "https://api.anthropic.com"
    key_file: Path | None = None
    state_dir: Path | None = None
    max_tokens: Annotated[int, Field(ge=256, le=64_000)] = 4096
    timeout_s: Annotated[float, Field(ge=0.1, le=3600, strict=False)] = 90.0
    attempts: Annotated[int, Field(ge=1, le=10)] = 3
    most_checks: Annotated[int, Field(ge=1, le=20)] = MOST_CHECKS
    episode: EpisodeBudget = EpisodeBudget()
    day: DayBudget = DayBudget()
    prices: Annotated[dict[ModelName, Price], Field(max_length=100)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.model not in self.prices:
            raise ValueError(
                f'money cannot be counted: write [claude.prices."{self.model}"] with `input` and '
                "`output`, the price of a million tokens"
            )
        if not _safe(self.base_url):
            raise ValueError(
                "base_url: https is needed, because the key goes there; http only to this machine"
            )
        return self

    @property
    def price(self) -> Price:
        return self.prices[self.model]


def _safe(url: str) -> bool:
    """Whether nobody can read the traffic to this address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.query or parts.fragment:
        return False
    if parts.scheme == "https":
        return True
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    return parts.scheme == "http" and local
