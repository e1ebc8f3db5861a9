# SPDX-License-Identifier: GPL-2.0-only
"""Numbers with units, as written and as kept: ns, counts and thousandths."""

import re
from decimal import Decimal

from scheduler_library.policy.syntax import Literal, Type

NS_OF = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
# A ratio is kept in thousandths: exact enough for a share, and its product with a time of
# hours still fits into 64 bits.
RATIO_SCALE = 1000
# Beyond this (13 days) nothing in scheduling is meant; keeps products within 64 bits.
LARGEST = 1 << 50
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)([A-Za-z]+|%)?")


def literal(text: str, at: int) -> Literal:
    """The number that `text` is; ValueError says what is wrong, and suggests."""
    found = _NUMBER.fullmatch(text)
    assert found, text
    number, unit = Decimal(found[1]), found[2] or ""
    if unit in NS_OF:
        value, type_ = number * NS_OF[unit], Type.TIME
        finest = "1ns"
    elif unit == "%":
        value, type_ = number * RATIO_SCALE / 100, Type.RATIO
        finest = "0.1%"
    elif unit:
        raise ValueError(f"{unit!r} is no unit")
    elif "." in found[1]:
        value, type_ = number * RATIO_SCALE, Type.RATIO
        finest = "0.001"
    else:
        value, type_ = number, Type.COUNT
        finest = "1"
    if value != value.to_integral_value():
        raise ValueError(f"it is finer than {finest}")
    if value > LARGEST:
        raise ValueError("it is too large")
    return Literal(int(value), type_, unit == "%", at=at)


def written(number: Literal) -> str:
    """The number in its canonical form: the largest unit that leaves it whole."""
    if number.type is Type.TIME:
        for unit, size in reversed(NS_OF.items()):
            if number.value % size == 0:
                return f"{number.value // size}{unit}"
    if number.type is Type.RATIO:
        scale = RATIO_SCALE // 100 if number.percent else RATIO_SCALE
        value = Decimal(number.value) / scale
        text = format(value, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        if number.percent:
            return f"{text}%"
        # A ratio stays one, also where it happens to be whole.
        return text if "." in text else f"{text}.0"
    return str(number.value)
