# SPDX-License-Identifier: GPL-2.0-or-later
"""The candidates proven ahead, in words that the command and the tools share."""

from daemon.api.models import PreparationView, PreparedState


def preparation_text(view: PreparationView) -> str:
    """The progress, as one line."""
    if not view.enabled:
        return "switched off in the configuration ([prepare] enabled)"
    said = [f"{view.proven} of {view.of} proven"] if view.of else []
    said += [f"now {each.name}" for each in view.schedulers if each.state is PreparedState.WORKING]
    if view.waiting_for:
        said.append(f"waiting for {view.waiting_for}" if view.of else f"none: {view.waiting_for}")
    return "; ".join(said) or "not begun"


def unprepared(view: PreparationView) -> list[str]:
    """Those that will not be ready, each with the reason."""
    lost = (PreparedState.REFUSED, PreparedState.FAILED)
    return [f"{each.name}: {each.reason}" for each in view.schedulers if each.state in lost]
