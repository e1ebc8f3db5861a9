# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot mcp`: serve the tools on standard input and output, or over HTTP on loopback.

Standard output belongs to the protocol; all messages go to standard error.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from process import Fault, fault_of, named_path, printable

DEFAULT_PORT = 7420


def parsed(words: Sequence[str] | None) -> argparse.Namespace:
    """The parsed and checked command line. Ends the process if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="schedpilot mcp",
        description=(
            "Serve schedpilot's tools to MCP clients, on standard input and output unless --http "
            "is given. Tools that act are offered if the control socket opens: to root and the "
            "group schedpilot."
        ),
    )
    parser.add_argument(
        "--read-only",
        action="store_true",
        help="offer no tool that acts, even if the control socket opens",
    )
    parser.add_argument(
        "--http",
        nargs="?",
        type=int,
        const=DEFAULT_PORT,
        metavar="PORT",
        help=f"serve streamable HTTP on 127.0.0.1 instead (port {DEFAULT_PORT}; 0: any)",
    )
    parser.add_argument(
        "--token-file",
        type=named_path,
        metavar="FILE",
        help=(
            "with --http: the file with the token; it is made if it does not exist (readable "
            "only by you)"
        ),
    )
    given = parser.parse_args(words)
    if given.token_file and given.http is None:
        parser.error("--token-file goes with --http")
    if given.http is not None and not 0 <= given.http <= 65_535:
        parser.error("a port is a number from 0 to 65535")
    return given


async def _stdio(read_only: bool) -> None:
    # Imported late, here and below, so that `--help` answers at once, also on a slow machine.
    from mcp.server.stdio import stdio_server

    from mcp_server.access import to_act, to_read
    from mcp_server.server import build_server

    access = to_read() if read_only else to_act()
    server = build_server(access)
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        await access.close()


def main(words: Sequence[str] | None = None) -> int:
    """Serve until the client hangs up. Returns the exit status."""
    arguments = parsed(words)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="schedpilot mcp: %(message)s"
    )
    import anyio

    try:
        if arguments.http is None:
            anyio.run(_stdio, arguments.read_only)
        else:
            from mcp_server.web import serve

            anyio.run(serve, arguments.http, arguments.token_file, arguments.read_only)
    except (Fault, OSError) as error:
        for line in fault_of(error).report().split("\n"):
            sys.stderr.write(printable(line) + "\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
