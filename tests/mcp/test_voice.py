# SPDX-License-Identifier: GPL-2.0-or-later
"""One voice: the texts for a model name only what it can use, and give one answer to each
question."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.claude import prompting
from agent.claude.settings import Claude
from agent.claude.tools import ACTING, LEARNING, PROVING, READING
from mcp_server.resources import RESOURCES, TEMPLATES, guide
from mcp_server.server import TOOLS
from mcp_server.voice import MOST_CHECKS, ModelSurface, instructions

NAMES = {tool.name for tool in TOOLS}
URIS = {str(each.uri) for each in RESOURCES} | {each.uri_template for each in TEMPLATES}
# Anything that looks like a tool of ours, whether it exists or not.
LIKE_A_TOOL = re.compile(
    r"\b(?:get|list|search|run(?=_probe)|check|start|set|record|profile|approve|load|read)_[a-z][a-z_]*\b"
)
URI = re.compile(r"schedpilot://[a-z-]+(?:/[a-z{}-]+)?")
GUIDES = ("policy-language.md", "sched-ext.md")

OBSERVE = frozenset(tool.name for tool in TOOLS if not tool.acts)
CONTROL = frozenset(NAMES)
DECIDING = (READING | PROVING | ACTING) & NAMES
ADVISING = (READING | PROVING) & NAMES


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def of_tools(names: frozenset[str], *, answers: bool = True) -> str:
    """The descriptions of the offered tools, and of their answers if a client sees those."""
    said = []
    for tool in TOOLS:
        if tool.name in names:
            listed = tool.listed
            said += [listed.description or "", *texts(listed.input_schema)]
            said += texts(listed.output_schema) if answers else []
    return "\n".join(said)


def agents(names: frozenset[str], *, at_once: bool) -> str:
    surface = ModelSurface(names, resources=False, guided=True, tried_at_once=at_once, looked=True)
    return prompting.system(surface, guide("policy-language.md"))


SURFACES = {
    "a client that reads": (
        OBSERVE,
        "\n".join([instructions(ModelSurface(OBSERVE)), *map(guide, GUIDES)]),
        True,
    ),
    "a client that acts": (
        CONTROL,
        "\n".join([instructions(ModelSurface(CONTROL)), *map(guide, GUIDES)]),
        True,
    ),
    "the agent": (DECIDING, agents(DECIDING, at_once=True), False),
    "the agent that advises": (ADVISING, agents(ADVISING, at_once=False), False),
    "the agent that learns": (
        LEARNING,
        f"{prompting.learner()}\n{(prompting.FOLDER / 'learn.j2').read_text()}",
        False,
    ),
}


@pytest.mark.parametrize("who", SURFACES)
def test_only_what_is_offered_is_named(who: str) -> None:
    """Instructions, prompts, guides and descriptions name no tool and no resource that cannot be
    used there."""
    tools, said, resources = SURFACES[who]
    text = f"{said}\n{of_tools(tools, answers=resources)}"
    # The C of a guide calls functions, not tools.
    assert set(LIKE_A_TOOL.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))) <= tools
    assert set(URI.findall(text)) <= (URIS if resources else set())


@pytest.mark.parametrize("may_act", [True, False])
def test_a_persons_prompts_name_only_what_there_is(may_act: bool) -> None:
    """If somebody may not act, the prompts name no tool that acts."""
    offered = CONTROL if may_act else OBSERVE
    folder = Path(prompting.FOLDER).parents[2] / "mcp_server" / "prompts"
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(folder), autoescape=False)  # noqa: S701
    environment.filters["marked"] = str
    for file in folder.glob("*.j2"):
        said = environment.get_template(file.name).render(
            handle="w1", profile="", goal="", may_act=may_act, id="e-1", episode=""
        )
        assert set(LIKE_A_TOOL.findall(said)) <= offered


def test_the_number_of_checks_is_one_number() -> None:
    """The server's number is the agent's default, or that of a configuration, and no tool or guide
    has another."""
    configured = Claude.model_fields["most_checks"].default
    assert configured == MOST_CHECKS
    assert f"{MOST_CHECKS} checks" in instructions(ModelSurface(CONTROL))
    three = ModelSurface(DECIDING, resources=False, most_checks=3, tried_at_once=True, looked=True)
    system = prompting.system(three, guide("policy-language.md"))
    assert re.findall(r"(\w+) checks are the most", system) == ["3"]
    rest = f"{of_tools(CONTROL)} {' '.join(map(guide, GUIDES))}"
    assert not re.search(r"\b(three|six|\d+) (times|attempts|checks)\b", rest, re.IGNORECASE)


def test_it_is_said_once_who_starts_a_trial() -> None:
    """A client's model starts it; the agent's model hears that the trial starts by itself."""
    by_itself = "goes to trial"
    assert by_itself in SURFACES["the agent"][1]
    assert by_itself not in SURFACES["a client that acts"][1]
    assert "start_trial" not in SURFACES["the agent that advises"][1]
    assert "start_trial" not in SURFACES["a client that reads"][1]


def test_it_is_said_once_what_to_look_at_first() -> None:
    """The agent has looked already; a client has not."""
    assert "get_status first" in SURFACES["a client that acts"][1]
    assert "get_status first" not in SURFACES["the agent"][1]
    assert "Call this first" not in of_tools(CONTROL)
