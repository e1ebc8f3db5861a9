# SPDX-License-Identifier: GPL-2.0-or-later
"""The model's budgets: what a call may cost, what is written down, and where the key comes from."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.claude.budget import (
    LEAST_REPLY_TOKENS,
    Exhausted,
    Purse,
    Room,
    Spend,
    TokenUsage,
    at_most,
    money_of,
    room,
)
from agent.claude.credentials import read_key
from agent.claude.ledger import FILE, Ledger
from agent.claude.settings import Budget, Claude, Price
from agent.claude.spending import Spending
from agent.config import parse_config
from agent.delegation import HandedOn
from agent.episode import Spent
from process import Fault, FaultType

PRICE = Price(input=3.0, output=15.0)
PLENTY = Budget(calls=100, tokens=1_000_000, seconds=1000.0, money=100.0)
DAY_S = 86_400.0


def purse(spent: Spend, **limits: Any) -> Purse:
    return Purse("episode", PLENTY.model_copy(update=limits), spent)


@pytest.mark.parametrize(
    ("spent", "limits", "why"),
    [
        (Spend(calls=3), {"calls": 3}, "3 calls"),
        (Spend(seconds=60.0), {"seconds": 60.0}, "60 seconds"),
        (Spend(input_tokens=9_000), {"tokens": 10_000}, "10000 tokens"),
        (Spend(money=0.999), {"money": 1.0}, "1 in money"),
        (Spend(), {"calls": 0}, "0 calls"),
        (Spend(), {"money": 0.0}, "0 in money"),
    ],
)
def test_a_used_up_budget_is_named(spent: Spend, limits: dict[str, Any], why: str) -> None:
    """Each of the four limits stops the next call by itself, and says so."""
    found = room([purse(spent, **limits)], 1_000, 4_096, PRICE)
    assert isinstance(found, Exhausted)
    assert why in found.why


def test_the_reply_is_cut_to_what_is_left() -> None:
    """The smallest of all budgets limits the length of the reply and the time for it."""
    found = room(
        [purse(Spend(seconds=990.0)), purse(Spend(input_tokens=8_000), tokens=10_000)],
        1_000,
        4_096,
        PRICE,
    )
    assert found == Room(1_000, 10.0)


@given(
    spent=st.builds(
        Spend,
        st.integers(0, 20),
        st.integers(0, 50_000),
        st.integers(0, 20_000),
        st.floats(0, 2),
        st.floats(0, 100),
    ),
    asked=st.integers(0, 30_000),
    wanted=st.integers(LEAST_REPLY_TOKENS, 64_000),
    tokens=st.integers(0, 100_000),
    money=st.floats(0, 2),
)
def test_no_call_can_cost_more_than_is_left(
    spent: Spend, asked: int, wanted: int, tokens: int, money: float
) -> None:
    """Whatever was spent before, an allowed call fits every budget even in the worst case."""
    budget = Budget(calls=20, tokens=tokens, seconds=100.0, money=money)
    found = room([Purse("day", budget, spent)], asked, wanted, PRICE)
    if isinstance(found, Exhausted):
        return
    worst = spent + at_most(asked, found.max_tokens, PRICE)
    assert worst.calls <= budget.calls
    assert worst.tokens <= budget.tokens
    assert worst.money <= budget.money + 1e-9


def test_the_cache_has_prices_of_its_own() -> None:
    """By default, writing to the cache costs a quarter more than input, and reading from it a
    tenth."""
    usage = TokenUsage(1_000_000, 1_000_000, 1_000_000, 1_000_000)
    assert money_of(usage, PRICE) == pytest.approx(3.0 + 15.0 + 3.75 + 0.3)
    free = Price(input=3.0, output=15.0, cache_write=0.0, cache_read=0.0)
    assert money_of(usage, free) == pytest.approx(18.0)


# ---------------------------------------------------------------- the day's account


def test_an_account_survives_a_restart(tmp_path: Path) -> None:
    """After a restart the agent knows what it spent before."""
    first = Ledger(tmp_path)
    before = first.spent()
    first.hold(Spend(1, 500, 500, 0.5))
    first.settle(before, Spend(1, 10, 20, 0.1, 2.0))
    assert Ledger(tmp_path).spent() == Spend(1, 10, 20, 0.1, 2.0)


def test_a_call_whose_end_nobody_saw_counts_at_its_worst(tmp_path: Path) -> None:
    """If the agent is killed in the middle of a call, the highest possible cost of that call
    counts."""
    Ledger(tmp_path).hold(Spend(1, 500, 500, 0.5))
    assert Ledger(tmp_path).spent() == Spend(1, 500, 500, 0.5)


def test_a_new_day_begins_at_nothing(tmp_path: Path) -> None:
    """Days are UTC days; setting the clock back begins no new day."""
    now = [time.time()]
    ledger = Ledger(tmp_path, lambda: now[0])
    ledger.settle(ledger.spent(), Spend(1, 10, 20, 0.1, 2.0))
    now[0] -= DAY_S
    assert ledger.spent().calls == 1
    now[0] += 2 * DAY_S
    assert ledger.spent() == Spend()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"day": "today"}', '{"day": "2026-01-01", "spent": {}}', "x" * 10_000]
)
def test_a_damaged_account_spends_nothing(tmp_path: Path, text: str) -> None:
    """If the spending is unknown, the model is not asked, and the fault names the file."""
    (tmp_path / FILE).write_text(text)
    with pytest.raises(Fault) as damaged:
        Ledger(tmp_path).spent()
    assert damaged.value.type is FaultType.STATE
    assert FILE in damaged.value.where
    spending = Spending(settings(), Ledger(tmp_path), Spent())
    with pytest.raises(HandedOn):
        spending.allow(10, 1000)


def test_an_account_that_cannot_be_written_stops_the_call(tmp_path: Path) -> None:
    """Nothing is spent that cannot be written down."""
    spending = Spending(settings(), Ledger(tmp_path / "nowhere"), Spent())
    with pytest.raises(HandedOn, match="cannot be written"):
        spending.allow(10, 1000)


def test_the_account_and_the_episode_agree(tmp_path: Path) -> None:
    """A charge is in the day's file and in what the episode reports."""
    spent = Spent()
    spending = Spending(settings(), Ledger(tmp_path), spent)
    spending.allow(1_000, 1_000)
    assert json.loads((tmp_path / FILE).read_text())["held"]["output_tokens"] == 1_000
    spending.charge(TokenUsage(100, 50), 1.5)
    assert Ledger(tmp_path).spent().tokens == 150
    assert (spent.calls, spent.input_tokens, spent.output_tokens) == (1, 100, 50)


# ---------------------------------------------------------------- configuration and key


def settings(**others: Any) -> Claude:
    given = {"model": "m", "prices": {"m": {"input": 3.0, "output": 15.0}}, **others}
    return Claude.model_validate(given)


GOOD = """
[advisor]
name = "claude"
[claude]
model = "some-model-1"
[claude.episode]
calls = 5
[claude.prices."some-model-1"]
input = 3
output = 15
"""


def test_the_table_is_read_whole() -> None:
    """Missing keys have their defaults."""
    config = parse_config(GOOD, "agent.toml")
    assert config.claude is not None
    assert config.claude.episode.calls == 5
    assert config.claude.day.calls == 200
    assert config.claude.price.output == 15


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[advisor]\nname = "claude"', "needs the table [claude]"),
        ('[claude]\nmodel = "m"', "money cannot be counted"),
        (GOOD.replace("calls = 5", "callls = 5"), "'calls'"),
        (GOOD.replace("output = 15", "ouput = 15"), "'output'"),
        (
            GOOD.replace("[claude.episode]", 'base_url = "http://example.com"\n[claude.episode]'),
            "https is needed",
        ),
    ],
)
def test_a_wrong_table_says_what_is_wrong(text: str, why: str) -> None:
    """A budget without a price, an API key over plain HTTP and an unknown key are refused."""
    with pytest.raises(Fault) as wrong:
        parse_config(text, "agent.toml")
    assert why in " ".join(wrong.value.details)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://models.example.com/anthropic", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost", True),
        ("http://10.0.0.1", False),
        ("https://user:pass@example.com", False),
        ("https://", False),
        ("file:///etc/passwd", False),
        ("https://example.com:port", False),
    ],
)
def test_an_endpoint_keeps_the_key_secret(url: str, good: bool) -> None:
    """Any compatible endpoint is allowed, by https or on this machine."""
    if good:
        assert settings(base_url=url).base_url == url
    else:
        with pytest.raises(ValueError, match="base_url"):
            settings(base_url=url)


def test_the_key_is_systemds_credential(tmp_path: Path) -> None:
    """The key comes from the credential's file; the variable of other programs is ignored."""
    (tmp_path / "anthropic-api-key").write_text("sk-1\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path), "ANTHROPIC_API_KEY": "sk-2"}
    assert read_key(settings(), environment) == "sk-1"
    with pytest.raises(HandedOn, match="there is no key"):
        read_key(settings(), {"ANTHROPIC_API_KEY": "sk-2"})


@pytest.mark.parametrize("text", ["", " \n", "two words", "line\nline", "schlüssel", "x" * 5000])
def test_what_is_no_key_is_not_sent(tmp_path: Path, text: str) -> None:
    """A key file with anything else in it counts as no key."""
    (tmp_path / "key").write_text(text)
    with pytest.raises(HandedOn):
        read_key(settings(key_file=str(tmp_path / "key")), {})
