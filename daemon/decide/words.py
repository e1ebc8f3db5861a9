# SPDX-License-Identifier: GPL-2.0-or-later
"""Figures as people read them."""

from daemon.api.telling import between, change, figure, sure

__all__ = ["between", "change", "duration", "figure", "percent", "sure"]


def percent(fraction: float) -> str:
    return f"{100 * fraction:.0f}%"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h`: for reasons, in which the order of magnitude matters."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"
