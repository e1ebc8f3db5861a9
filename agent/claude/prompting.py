# SPDX-License-Identifier: GPL-2.0-or-later
"""The texts for the model, from the templates in prompts/.

Text from the system enters through `marked`, or in an answer of the MCP server, which marks it
itself.
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
from mcp_server.voice import ModelSurface

FOLDER = Path(__file__).parent / "prompts"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        # Prompts are not HTML; `marked` keeps hostile text apart here.
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["marked"] = marked
    environment.filters["word"] = word
    return environment


def _said(template: str, **values: object) -> str:
    return _environment().get_template(f"{template}.j2").render(**values).strip()


def system(surface: ModelSurface, guide: str) -> str:
    """The model's role and rules; the same for all episodes of a configuration."""
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
    """The first message: why the episode exists, how its trials are judged, what a scheduler can
    change, and the results of the first looks.
    """
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
    """How a trial ended, for the model: only our own figures, or marked text."""
    return "\n".join(telling.account(trial, tick_us, marked))


def learning(
    episode: EpisodeView, tags: Sequence[str], trials: Sequence[TrialView], tick_us: float = 0.0
) -> str:
    """The request after a trial: one line worth remembering."""
    accounts = [account_of(each, tick_us) for each in trials]
    return _said("learn", episode=episode, tags=tags, accounts=accounts)


def learner() -> str:
    """The model's role when it learns."""
    return _said("learner")
