# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers with units, as written and as stored: ns, counts and thousandths."""

import re
from decimal import Decimal

from scheduler_library.policy.syntax import Literal, Type

NS_OF = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
# A ratio is stored in thousandths: exact enough for a share, and its product with a time of hours
# still fits into 64 bits.
RATIO_SCALE = 1000
# Scheduling has no use for longer times (13 days); this keeps products within 64 bits.
LARGEST = 1 << 50
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?)[ \t]*([A-Za-z]+|%)?")
# Other spellings of time units. Not accepted: `m` means minutes to some and thousandths to others.
_ELSEWHERE = {
    **dict.fromkeys(("nsec", "nsecs", "nano", "nanos", "nanosecond", "nanoseconds"), 1),
    **dict.fromkeys(("usec", "usecs", "micro", "micros", "microsecond", "microseconds"), 1_000),
    **dict.fromkeys(("msec", "msecs", "milli", "millis", "millisecond", "milliseconds"), 1_000_000),
    **dict.fromkeys(("sec", "secs", "second", "seconds"), NS_OF["s"]),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60 * NS_OF["s"]),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600 * NS_OF["s"]),
    **dict.fromkeys(("d", "day", "days"), 86400 * NS_OF["s"]),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400 * NS_OF["s"]),
}
_PLAIN = {"k": 1_000, "kilo": 1_000, "g": 1_000_000_000, "hz": 1, "khz": 1_000}
_PERCENT = ("percent", "percents", "pct", "pc", "prc")


def literal(text: str, at: int) -> Literal:
    """The number in `text`; a ValueError names the problem, and suggests a fix."""
    digits, unit = split(text)
    number = Decimal(digits)
    if unit in NS_OF:
        value, type_ = number * NS_OF[unit], Type.TIME
        finest = "1ns"
    elif unit == "%":
        value, type_ = number * RATIO_SCALE / 100, Type.RATIO
        finest = "0.1%"
    elif unit:
        raise ValueError(f"{unit!r} is not a unit")
    elif "." in digits:
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


def split(text: str) -> tuple[str, str]:
    """The number of a literal and its unit, which may be unknown."""
    found = _NUMBER.fullmatch(text)
    assert found, text
    return found[1], found[2] or ""


def in_ns(number: str, unit: str) -> int | None:
    """A time in any spelling, in ns; None if it is not a time."""
    size = NS_OF.get(unit) or NS_OF.get(unit.lower()) or _ELSEWHERE.get(unit.lower())
    try:
        return int(Decimal(number) * size) if size else None
    except ArithmeticError:
        return None


def instead(number: str, unit: str) -> str:
    """What to write for a number with an unknown unit; empty if unclear."""
    time = in_ns(number, unit)
    if unit == "m" and time is not None:
        return f"write {number}ms for milliseconds, or {written_ns(time)} for minutes"
    if time is not None:
        return f"write {written_ns(time)}"
    if unit.lower() in _PERCENT:
        return f"write {number}%"
    plain = _PLAIN.get(unit.lower()) or (1_000_000 if unit in ("M", "Mio") else 0)
    if plain:
        return f"write {format((Decimal(number) * plain).normalize(), 'f')}"
    return ""


def written_ns(value: int) -> str:
    """A time in ns as it is written."""
    return written(Literal(value, Type.TIME))


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
        # A ratio keeps its form, even if it is whole.
        return text if "." in text else f"{text}.0"
    return str(number.value)
