# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers, times and parameters in the form that people read and write."""

import re
import time
from collections.abc import Iterable, Mapping

from daemon.api.models import ParameterValue, TrialView
from daemon.api.telling import ended_as, figure, outcome
from process import Fault, FaultType

_SPAN_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def microseconds(value: float | None) -> str:
    """A delay given in microseconds, in the unit that reads best."""
    return quantity(value, "us")


def quantity(value: float | None, unit: str) -> str:
    """A value of an objective with its unit."""
    if value is None:
        return "–"
    return figure(value, unit)


def span(seconds: float) -> str:
    """A length of time, two parts at most: `3 min 20 s`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for name, size, lower, lower_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // lower_size
            return f"{whole // size} {name}" + (f" {rest} {lower}" if rest else "")
    return f"{whole} s"


def ago(at: float, now: float | None = None) -> str:
    if not at:
        return "–"
    return f"{span(max(0.0, (time.time() if now is None else now) - at))} ago"


def moment(at: float) -> str:
    """A point in time in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if at else "–"


def clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at)) if at else "–"


def parameters(values: Mapping[str, ParameterValue]) -> str:
    """`name=value, …`, or nothing."""
    return ", ".join(f"{name}={_value(value)}" for name, value in sorted(values.items()))


def _value(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def titled(name: str, values: Mapping[str, ParameterValue]) -> str:
    listing = parameters(values)
    return f"{name} ({listing})" if listing else name


def trial_line(trial: TrialView) -> str:
    """One trial in one line: what was compared, by what, and the result."""
    name = titled(trial.scheduler, trial.parameters)
    if trial.verdict is None:
        return f"{name}: {ended_as(trial)}" + (f", {trial.reason}" if trial.reason else "")
    return f"{name}: {ended_as(trial)}; {trial.objective}: " + outcome(
        trial.verdict, trial.direction
    )


def parse_span(text: str) -> float:
    """`90`, `90s`, `30m`, `6h`, `1d` as seconds.

    Raises:
        Fault: BAD_REQUEST.
    """
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)\s*([smhd]?)", text.strip())
    if not found or not float(found[1]):
        raise Fault(
            FaultType.BAD_REQUEST,
            f"{text[:40]!r} is not a length of time",
            hint="write for example 90s, 30m, 6h or 1d",
        )
    return float(found[1]) * _SPAN_S[found[2] or "s"]


def parse_parameters(words: Iterable[str]) -> dict[str, ParameterValue]:
    """Parses `name=value` words; numbers and truth values are converted, the rest stays text.

    The daemon checks the values and understands units (`slice=500us`).

    Raises:
        Fault: BAD_PARAMETER.
    """
    values: dict[str, ParameterValue] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", name) or not text:
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"{word[:60]!r} sets no parameter",
                hint="write --set NAME=VALUE, for example --set slice_us=500",
            )
        values[name] = _typed(text)
    return values


def _typed(text: str) -> ParameterValue:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"[+-]?\d{1,18}\.\d{1,18}", text):
        return float(text)
    return text
