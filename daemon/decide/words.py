# SPDX-License-Identifier: GPL-2.0-only
"""Figures as people read them."""


def figure(value: float, unit: str) -> str:
    """`value` with its unit, microseconds in the scale that suits: `12.3 ms`."""
    if unit == "us":
        for scale, name in ((1e6, "s"), (1e3, "ms")):
            if abs(value) >= scale:
                return f"{value / scale:.3g} {name}"
        return f"{value:.3g} µs"
    text = f"{value:.4g}"
    return f"{text} {unit}".strip()


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
