# SPDX-License-Identifier: GPL-2.0-or-later
"""Values of parameters: converts a number or a text such as `500us` to the object's type."""

import re
from collections.abc import Mapping
from fractions import Fraction

from process import Fault, FaultType, nearest_known
from scheduler_library.manifest import Manifest, Parameter, ParameterType, Unit, When

Value = int | float | bool

_NUMBER = re.compile(r"^\s*([+-]?\d{1,20}(?:\.\d{1,20})?)\s*([a-zµ%]*)\s*$")
_NS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_WORDS = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}
_PLAIN = {
    Unit.NONE: ("",),
    Unit.PERCENT: ("", "%", "percent"),
    Unit.TASKS: ("", "tasks"),
    Unit.CPUS: ("", "cpus"),
}


def _in_unit(text: str, unit: Unit) -> Fraction:
    """The number in `text`, converted to `unit`; a bare number is already in `unit`."""
    found = _NUMBER.match(text)
    if not found:
        raise ValueError("this is not a number with a unit")
    number, suffix = Fraction(found[1]), found[2]
    if unit.value in _NS:
        if not suffix:
            return number
        if suffix not in _NS:
            raise ValueError(f"unit {suffix!r} is not one of {', '.join(_NS)}")
        return number * _NS[suffix] / _NS[unit.value]
    if suffix not in _PLAIN[unit]:
        takes = f"is in {unit.value}" if unit is not Unit.NONE else "takes no unit"
        raise ValueError(f"unit {suffix!r} does not fit: the parameter {takes}")
    return number


def _check(parameter: Parameter, value: Value | str) -> Value:
    """One value, converted and within range; a ValueError describes the problem."""
    if parameter.type is ParameterType.BOOL:
        if isinstance(value, bool):
            return value
        word = _WORDS.get(str(value).strip().lower())
        if word is None:
            raise ValueError("this is neither true nor false")
        return word
    if isinstance(value, bool):
        raise ValueError("this is a truth value, not a number")
    if isinstance(value, float) and value - value != 0:
        raise ValueError("this is not a finite number")
    number = _in_unit(value, parameter.unit) if isinstance(value, str) else Fraction(value)
    if parameter.type is ParameterType.INT and number.denominator != 1:
        raise ValueError(f"this is not a whole number of {parameter.unit.value}")
    assert parameter.min is not None
    assert parameter.max is not None
    if not parameter.min <= number <= parameter.max:
        raise ValueError("this is out of range")
    return int(number) if parameter.type is ParameterType.INT else float(number)


def check_parameters(
    manifest: Manifest, values: Mapping[str, Value | str], *, live: bool = False
) -> dict[str, Value]:
    """Check values for an entry's parameters, each a number, a truth value or a text.

    A text may have a unit (`500us`, `3ms`, `20%`); a bare number is in the parameter's own unit.
    Returns only the given values, converted; the object keeps its defaults.

    Args:
        live: the scheduler runs already, so only live parameters can be set.

    Raises:
        Fault: BAD_PARAMETER, with each wrong parameter as a line of `details`.
    """
    known = {parameter.name: parameter for parameter in manifest.params}
    checked: dict[str, Value] = {}
    problems: list[str] = []
    for name, value in values.items():
        shown = repr(value)[:60]
        parameter = known.get(name)
        if parameter is None:
            problems.append(f"{name[:60]!r}: no such parameter{nearest_known(name, known)}")
            continue
        if live and parameter.when is not When.LIVE:
            problems.append(
                f"{name}: can be set only when the scheduler is loaded, not while it runs"
            )
            continue
        try:
            checked[name] = _check(parameter, value)
        except ValueError as error:
            problems.append(f"{name} = {shown}: {error}; allowed: {parameter.allowed}")
    if problems:
        listing = "; ".join(f"{each.name} ({each.allowed})" for each in manifest.params)
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{len(problems)} parameter{'s' if len(problems) > 1 else ''} cannot be used",
            where=f"scheduler {manifest.name!r}",
            why=problems[0],
            hint=f"parameters are: {listing}" if listing else "this scheduler has no parameters",
            details=tuple(problems),
        )
    return checked
