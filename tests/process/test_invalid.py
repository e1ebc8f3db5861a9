# SPDX-License-Identifier: GPL-2.0-or-later
"""pydantic's errors about a file become one sentence for each problem, with its key."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from process import Fault, FaultType, first_problem
from process.invalid import keys_at, valid_tables


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Price(_Table):
    tokens: float = 0.0


class _Measure(_Table):
    name: str
    value: int | float | bool = 0


class _File(_Table):
    mode: Literal["slow", "fast"] = "slow"
    words: list[str] = Field(default_factory=list)
    count: int = Field(default=1, ge=1)
    price: _Price | None = None
    prices: dict[str, _Price] = Field(default_factory=dict)
    measure: list[_Measure] = Field(default_factory=list)


def problems_of(raw: dict[str, object]) -> tuple[str, ...]:
    with pytest.raises(Fault) as caught:
        valid_tables(
            _File,
            raw,
            type=FaultType.BAD_CONFIG,
            what="the file",
            where="x.toml",
            hint="mend it",
        )
    return caught.value.details


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"wrds": []}, "wrds: unknown key (nearest known: 'words')"),
        ({"price": {"token": 1.0}}, "price.token: unknown key (nearest known: 'tokens')"),
        (
            {"prices": {"a": {"token": 1.0}}},
            "prices.a.token: unknown key (nearest known: 'tokens')",
        ),
        ({"measure": [{"nam": "x"}]}, "measure[0].name: this key is missing"),
        (
            {"measure": [{"name": "x", "value": "y"}]},
            "measure[0].value: 'y' is not a whole number, or: 'y' is not a number, "
            "or: 'y' is neither true nor false",
        ),
        ({"measure": 3}, "measure: this is a list of tables: write `[[measure]]` for each"),
        ({"words": "a"}, "words: 'a' is not a list (which needs square brackets)"),
        ({"price": 3}, "price: this is a table: write `[price]` and its keys below"),
        ({"mode": "fats"}, "mode: 'fats' is none of 'slow' or 'fast'; did you mean 'fast'?"),
        ({"count": 0}, "count: 0 is out of range: at least 1"),
        ({"count": "x" * 500}, f"count: 'x{'x' * 77}… is not a whole number"),
    ],
)
def test_each_problem_has_its_key_and_its_reason(raw: dict[str, object], said: str) -> None:
    """Each sentence has the key with its table, the value that was written, and the right kind of
    value; long values are cut."""
    assert said in problems_of(raw)


def test_the_keys_of_a_table_are_found_through_lists_and_unions() -> None:
    """They come from the models' own types; a place without fixed keys has none."""
    assert keys_at(_File, ("price",)) == ("tokens",)
    assert keys_at(_File, ("prices", "any")) == ("tokens",)
    assert keys_at(_File, ("measure", 4)) == ("name", "value")
    assert keys_at(_File, ("words", 0)) == ()
    assert keys_at(_File, ("nowhere", "at all")) == ()


def test_the_first_problem_does_not_repeat_a_hostile_value() -> None:
    """It has only the place and the reason, since the value may come from another program."""
    with pytest.raises(ValidationError) as caught:
        _File.model_validate({"count": "\x1b[31mred"})
    assert first_problem(caught.value).startswith("count: ")
    assert "red" not in first_problem(caught.value)
