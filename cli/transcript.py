# SPDX-License-Identifier: GPL-2.0-or-later
"""An advisor's transcript, step by step, for people."""

import json
from collections.abc import Iterable

from rich.text import Text

from cli.formats import clock
from cli.output import out, plain, say
from daemon.api.models import StepKind, StepView

# How much of a tool's answer is shown; the advisor saw more of it, and `--json` has more.
LONGEST_ANSWER = 600
LONGEST_CALL = 1500
LONGEST_TEXT = 4000
_INDENT = " " * 21


def tell_step(step: StepView) -> None:
    """One step: time, role and content."""
    line = Text(clock(step.at) + "  ", style="dim")
    line.append_text(plain(step.role.value.ljust(11), 11, "cyan"))
    if step.kind is StepKind.TOOL_CALL:
        line.append_text(plain(f"{step.tool}({_arguments(step.text)})", LONGEST_CALL, "bold"))
    elif step.kind is StepKind.TOOL_RESULT:
        line.append_text(plain(f"  = {' '.join(step.text.split())}", LONGEST_ANSWER, "dim"))
    else:
        first, *rest = step.text.splitlines() or ["(nothing said)"]
        style = "yellow" if step.kind is StepKind.NOTE else ""
        line.append_text(plain(first, LONGEST_TEXT, style))
        out().print(line, soft_wrap=True)
        for each in rest:
            say(_INDENT + each, style)
        if step.tokens:
            say(f"{_INDENT}({step.tokens} tokens)", "dim")
        return
    out().print(line, soft_wrap=True)


def tell_steps(steps: Iterable[StepView]) -> None:
    for step in steps:
        tell_step(step)


def _arguments(text: str) -> str:
    """A JSON object as `name=value, …`; anything else unchanged."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(found, dict):
        return text
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in found.items())
