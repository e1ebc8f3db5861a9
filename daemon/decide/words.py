# SPDX-License-Identifier: GPL-2.0-only
"""Figures as people read them."""

from daemon.api.telling import figure

__all__ = ["duration", "figure", "percent"]


def percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h`: for reasons, where the order of size is what matters."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


# Per cent, above which a loss is told as a factor.
MUCH = 200


def change(low: float, high: float, *, lower_is_better: bool) -> str:
    """A ratio (candidate / baseline) within these bounds, as people say it: `9% to 51% worse`."""
    gains = sorted((1 - each if lower_is_better else each - 1) for each in (low, high))
    worst, best = (_whole(each) for each in gains)
    if worst == best == 0:
        return "the same"
    if best <= 0:
        if lower_is_better and worst < -MUCH:
            least, most = (f"{max(1.0, each):.3g}" for each in (low, high))
            return (least if least == most else f"{least} to {most}") + " times worse"
        return _span(-best, -worst) + " worse"
    if worst >= 0:
        return _span(worst, best) + " better"
    return f"between {-worst}% worse and {best}% better"


def _whole(fraction: float) -> int:
    return round(100 * min(fraction, 1e6))


def _span(least: int, most: int) -> str:
    return f"{least}%" if least == most else f"{least}% to {most}%"


def span(low: float, high: float, unit: str) -> str:
    """`1.2 ms to 187 ms`; one figure where both read the same."""
    first, last = figure(low, unit), figure(high, unit)
    return first if first == last else f"{first} to {last}"
