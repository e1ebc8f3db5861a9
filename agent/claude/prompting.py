# SPDX-License-Identifier: GPL-2.0-or-later
"""What the model is told, from the templates in prompts/.

Text from the system enters by `marked` or as an answer of the MCP server, which marks it itself.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from daemon.api import telling
from daemon.api.models import EpisodeView, TrialView
from daemon.api.situation import Facts, told
from mcp_server import voice
from mcp_server.untrusted import marked, word
from mcp_server.voice import Surface

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


def system(surface: Surface, guide: str) -> str:
    """Who the model is and how it works; the same for all episodes of a configuration."""
    return _said(
        "system",
        data=voice.data(),
        looking=voice.looking(surface),
        checking=voice.checking(surface),
        trying=voice.trying(surface),
        ladder=voice.ladder(surface),
        judging=voice.judging(surface),
        never=voice.never(surface),
        guide=guide,
    )


def situation(facts: Facts, seen: Sequence[tuple[str, str]], held_back: str, earlier: str) -> str:
    """The first message: why there is an episode, by what its trials are judged, what a scheduler
    can change, and what the first looks showed."""
    return _said(
        "situation",
        episode=facts.episode,
        facts=told(facts, marked),
        figure=telling.figure,
        seen=seen,
        held_back=held_back,
        earlier=earlier,
    )


def account_of(trial: TrialView, tick_us: float = 0.0) -> str:
    """How a trial ended, for the model: all of it figures of ours, or marked."""
    return "\n".join(telling.account(trial, tick_us, marked))


def learning(
    episode: EpisodeView, tags: Sequence[str], trials: Sequence[TrialView], tick_us: float = 0.0
) -> str:
    """What is asked for when a trial is over: one line worth remembering."""
    accounts = [account_of(each, tick_us) for each in trials]
    return _said("learn", episode=episode, tags=tags, accounts=accounts)


def learner() -> str:
    """Who the model is when it learns."""
    return _said("learner")
