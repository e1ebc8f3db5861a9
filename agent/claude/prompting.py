# SPDX-License-Identifier: GPL-2.0-only
"""What the model is told, from the templates in prompts/.

Text from the system enters by `marked` or as an answer of the MCP server, which marks it itself.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from daemon.api.models import Direction, EpisodeView, TrialView
from mcp_server.untrusted import CLOSE, OPEN, marked, word

FOLDER = Path(__file__).parent / "prompts"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        # Prompts are no HTML; `marked` is what keeps text apart here.
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = marked
    environment.filters["word"] = word
    return environment


def _said(template: str, **values: object) -> str:
    return _environment().get_template(f"{template}.j2").render(**values).strip()


def system(*, instructions: str, guide: str, may_try: bool, most_checks: int) -> str:
    """Who the model is and how it works; the same for all episodes of a configuration."""
    return _said(
        "system",
        instructions=instructions,
        guide=guide,
        may_try=may_try,
        most_checks=most_checks,
        open=OPEN,
        close=CLOSE,
    )


def situation(
    episode: EpisodeView, seen: Sequence[tuple[str, str]], held_back: str, earlier: str
) -> str:
    """The first message: why there is an episode, and what the first looks showed."""
    return _said("situation", episode=episode, seen=seen, held_back=held_back, earlier=earlier)


def account_of(trial: TrialView) -> str:
    """How a trial ended, for the model: all of it figures of ours, or marked."""
    better = "lower" if trial.direction is Direction.LOWER else "higher"
    return _said("trial", trial=trial, verdict=trial.verdict, better=better)


def learning(tags: Sequence[str], trials: Sequence[TrialView]) -> str:
    """What is asked for when a trial is over: one line worth remembering."""
    return _said("learn", tags=tags, accounts=[account_of(each) for each in trials])


def learner() -> str:
    """Who the model is when it learns."""
    return _said("learner")
