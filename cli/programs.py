# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's other programs, behind the one command.

They replace this process: `schedpilot lab` may not share a line of Python with the lab, because the
command may not import it.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# The command's word, the module behind it, and its line in `--help`.
PROGRAMS = {
    "lab": ("lab", "A sched_ext virtual machine: build it, run commands and the demo in it."),
    "doctor": (
        "bpf.kernel.doctor",
        "Find what keeps schedulers from loading here, and how to fix it.",
    ),
    "daemon": ("daemon.main", "Run the daemon in the foreground, as its service does."),
    "agent": ("agent.main", "Run the advisor that deals with the daemon's episodes."),
    "measure": (
        "agent.measuring.program",
        "List and test the configured application measurements.",
    ),
    "mcp": ("mcp_server.main", "Serve the tools to MCP clients: Claude Desktop and others."),
    "replay": ("daemon.replay", "Replay recorded signals through detection and verdict."),
}


def become(program: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the program. Does not return.

    `-P` keeps the current folder off the module path: if root runs `schedpilot daemon` in a
    stranger's folder, it must not import the stranger's `daemon/`.
    """
    module = PROGRAMS[program][0]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
