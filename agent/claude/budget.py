# SPDX-License-Identifier: GPL-2.0-or-later
"""The possible and the actual cost of a call to the model. Pure: no clock, no file.

A budget is hard: before each call its maximum cost is compared with the remaining budget, the
reply's length is limited accordingly, and a call that the budget cannot pay is not made.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields

from agent.claude.settings import Budget, Price
from daemon.api.models import CostReport

# A reply of fewer tokens is not worth the price of its input.
LEAST_REPLY_TOKENS = 256
# Bytes of a request per token; JSON and English have more, so that the estimate errs on the safe
# side.
BYTES_A_TOKEN = 3.0
MILLION = 1_000_000
# The cache's default prices, as fractions of the input price.
CACHE_WRITE, CACHE_READ = 1.25, 0.1


@dataclass(frozen=True)
class TokenUsage:
    """Tokens of one call. `input_tokens` does not include tokens written to or read
    from the cache.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_write_tokens: int = 0
    cache_read_tokens: int = 0

    @property
    def all_input_tokens(self) -> int:
        return self.input_tokens + self.cache_write_tokens + self.cache_read_tokens

    @property
    def tokens(self) -> int:
        return self.all_input_tokens + self.output_tokens


@dataclass(frozen=True)
class Spend:
    """The amount spent; seconds are time spent waiting for the model."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(Spend))
        )

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def report(self) -> CostReport:
        return CostReport(
            calls=self.calls,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            money=self.money,
            seconds=self.seconds,
        )


@dataclass(frozen=True)
class Room:
    """The limits of the next call."""

    max_tokens: int
    seconds: float


@dataclass(frozen=True)
class Exhausted:
    """Why no further call is possible."""

    why: str


@dataclass(frozen=True)
class Purse:
    """One budget and the amount spent from it; `whose` is `episode` or `day`."""

    whose: str
    budget: Budget
    spent: Spend


def tokens_of(text: str) -> int:
    """An upper estimate of the tokens of a text."""
    return int(len(text.encode("utf-8", "surrogatepass")) / BYTES_A_TOKEN) + 1


def _cache_write(price: Price) -> float:
    return price.input * CACHE_WRITE if price.cache_write is None else price.cache_write


def money_of(usage: TokenUsage, price: Price) -> float:
    read = price.input * CACHE_READ if price.cache_read is None else price.cache_read
    return (
        usage.input_tokens * price.input
        + usage.cache_write_tokens * _cache_write(price)
        + usage.cache_read_tokens * read
        + usage.output_tokens * price.output
    ) / MILLION


def _dearest_input(price: Price) -> float:
    return max(price.input, _cache_write(price))


def spend_of(usage: TokenUsage, price: Price, seconds: float) -> Spend:
    """The actual cost of one call."""
    return Spend(1, usage.all_input_tokens, usage.output_tokens, money_of(usage, price), seconds)


def at_most(input_tokens: int, max_tokens: int, price: Price) -> Spend:
    """The maximum cost of one call: nothing from the cache, the longest reply."""
    money = (input_tokens * _dearest_input(price) + max_tokens * price.output) / MILLION
    return Spend(1, input_tokens, max_tokens, money, 0.0)


def _left(purse: Purse, input_tokens: int, price: Price) -> Room | Exhausted:
    budget, spent = purse.budget, purse.spent
    whose = f"the {purse.whose}'s budget"
    if spent.calls >= budget.calls:
        return Exhausted(f"{whose} of {budget.calls} calls is used up")
    seconds = budget.seconds - spent.seconds
    if seconds <= 0:
        return Exhausted(f"{whose} of {budget.seconds:g} seconds is used up")
    tokens = budget.tokens - spent.tokens - input_tokens
    if tokens < LEAST_REPLY_TOKENS:
        return Exhausted(f"{whose} of {budget.tokens} tokens is used up")
    money = budget.money - spent.money - input_tokens * _dearest_input(price) / MILLION
    affordable = int(money * MILLION / price.output) if price.output > 0 else tokens
    if money < 0 or affordable < LEAST_REPLY_TOKENS:
        return Exhausted(f"{whose} of {budget.money:g} in money is used up")
    return Room(min(tokens, affordable), seconds)


def room(
    purses: Iterable[Purse], input_tokens: int, wanted_tokens: int, price: Price
) -> Room | Exhausted:
    """The limits of a call with this much input, under all budgets together."""
    found = Room(wanted_tokens, float("inf"))
    for purse in purses:
        left = _left(purse, input_tokens, price)
        if isinstance(left, Exhausted):
            return left
        found = Room(min(found.max_tokens, left.max_tokens), min(found.seconds, left.seconds))
    return found
