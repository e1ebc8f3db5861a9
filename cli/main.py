# SPDX-License-Identifier: GPL-2.0-or-later
"""The entry point of `schedpilot`: runs a command and turns its result into an exit code."""

import os
import sys

from cli.commands import app
from cli.exits import ExitCode
from cli.programs import PROGRAMS, become


def _report(error: Exception) -> ExitCode:
    """Print a fault for people; any other exception is a defect and propagates.

    A refusal by the system (a path, a full disk) is a fault, too.
    """
    from process import Fault, FaultType, fault_of

    if not isinstance(error, Fault | OSError):
        raise error
    fault = fault_of(error)
    from cli.output import err, plain

    for number, line in enumerate(fault.report().split("\n")):
        err().print(plain(line, 4000, "red" if number == 0 else ""), soft_wrap=True)
    return ExitCode.UNREACHABLE if fault.type is FaultType.UNREACHABLE else ExitCode.FAULT


def main() -> None:
    """Run the command line that this process was started with."""
    if sys.argv[1:2] == ["--verbose"]:
        os.environ["SCHEDPILOT_VERBOSE"] = "1"
        del sys.argv[1]
    words = sys.argv[1:]
    if words and words[0] in PROGRAMS:
        # From here on the command line belongs to the other program, including `-h` and `--`.
        become(words[0], words[1:])
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal lacks is shown as an escape instead of raising an error.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="schedpilot")
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(int(ExitCode.INTERRUPTED))
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Buffered output is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(int(ExitCode.OK))
    except Exception as error:  # noqa: BLE001 - Faults and OSError; _report raises all others again
        sys.exit(int(_report(error)))


if __name__ == "__main__":
    main()
