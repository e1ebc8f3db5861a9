# SPDX-License-Identifier: GPL-2.0-or-later
"""Which of a scheduler's selectors match a process, for those that the kernel cannot evaluate."""

from collections.abc import Sequence

from bpf.common.selectors import selected, unit_of

__all__ = ["COMMAND_LIMIT", "command_of", "selected", "unit_of"]

# How much of a command line is checked, characters: its owner chose its length.
COMMAND_LIMIT = 4096


def command_of(arguments: Sequence[str]) -> str:
    """The whole command line, with single spaces between the arguments."""
    return " ".join(arguments)[:COMMAND_LIMIT]
