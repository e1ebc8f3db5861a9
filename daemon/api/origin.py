# SPDX-License-Identifier: GPL-2.0-or-later
"""Moves messages about a policy's C to their places in the policy."""

from collections.abc import Mapping

from daemon.api.models import GateMessage, GateResult

# From a line of the C to the line and column of the policy that its text came from, all from 1.
Origin = Mapping[int, tuple[int, int]]
# The policy compiler puts a tab before each line that it copies.
INDENT = 1


def in_policy(result: GateResult, origin: Origin) -> GateResult:
    """A gate's answer, with its messages about a C block's lines moved to the policy.

    Moved messages name no file: the policy has none.
    """
    if not origin:
        return result
    moved = [_moved(each, origin) for each in result.messages]
    return result.model_copy(update={"messages": moved})


def _moved(message: GateMessage, origin: Origin) -> GateMessage:
    place = origin.get(message.line)
    if place is None or not message.file.endswith(".bpf.c"):
        return message
    line, column = place
    column += max(0, message.column - 1 - INDENT)
    return message.model_copy(update={"file": "", "line": line, "column": column})
