# SPDX-License-Identifier: GPL-2.0-or-later
"""The exit codes of `schedpilot`; docs/cli.md is for people who write scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    # A fault, reported on standard error.
    FAULT = 1
    # The command line cannot be understood.
    USAGE = 2
    # Everything worked and the answer is no: not better, not proven, rolled back.
    NO = 3
    # No daemon answers on the socket.
    UNREACHABLE = 4
    # `tune`: the measured command itself failed.
    COMMAND_FAILED = 5
    # `ask`: the goal is not clear enough, and nobody can answer.
    QUESTION = 6
    # Ctrl-C or SIGTERM, after everything was put back.
    INTERRUPTED = 130
