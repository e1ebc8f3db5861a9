# SPDX-License-Identifier: GPL-2.0-or-later
"""The project's other programs, behind the one command.

They take this process's place: `schedpilot lab` may not share a line of Python with the
lab, which the command is not allowed to import.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

# The word on the command line, the module behind it, and what `--help` says.
PROGRAMS = {
    "lab": ("lab", "A sched_ext virtual machine: build it, run commands and the demo in it."),
    "doctor": (
        "bpf.kernel.doctor",
        "Look for what keeps schedulers from loading here, and remedies.",
    ),
    "daemon": ("daemon.main", "Run the daemon in the foreground, as its service does."),
    "agent": ("agent.main", "Run the advisor that deals with the daemon's episodes."),
    "measure": ("agent.measuring.program", "What the configured measures read: list, test."),
    "mcp": ("mcp_server.main", "Serve the tools to MCP clients: Claude Desktop and others."),
    "replay": ("daemon.replay", "Run recorded signals through detection and verdict again."),
}


def become(program: str, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by the program. Does not return.

    `-P` keeps the current folder off the module path: `schedpilot daemon`, run by root in
    a stranger's folder, must not import the stranger's `daemon/`.
    """
    module = PROGRAMS[program][0]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])  # noqa: S606
