# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot agent`: handles the daemon's episodes, and polls the measurements that objectives
need.

Runs as an unprivileged user. It acts over the control socket; if only the observe socket opens, it
says what it would do.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence

from agent.bandit_advisor import BanditAdvisor
from agent.config import PATH, AgentConfig, read_config
from agent.connection import Connection
from agent.delegation import EpisodeRunner
from agent.loop import Loop
from agent.measure import keep_polling
from daemon.api.client import control_async_client, control_opens, observe_async_client
from daemon.api.display import displayable
from process import Fault, FaultType, fault_of, named_path
from process.effort import settle_session

log = logging.getLogger("schedpilot-agent")

ADVISORS = ("offline", "claude")
# The length limit of a log line: advice is the longest text in it.
LONGEST_LINE = 4000
# What journald reads at the start of a line of standard error (sd-daemon(3)).
_PRIORITY = {logging.ERROR: "<3>", logging.WARNING: "<4>", logging.INFO: "<6>"}


class _Lines(logging.Formatter):
    """One harmless line for each record; journald gets the priority, a terminal the time."""

    def __init__(self, journal: bool) -> None:
        super().__init__("%(message)s" if journal else "%(asctime)s %(message)s", "%H:%M:%S")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        line = displayable(super().format(record), LONGEST_LINE)
        return _PRIORITY.get(record.levelno, "") + line if self._journal else line


@contextlib.asynccontextmanager
async def connect() -> AsyncIterator[Connection]:
    """The control socket if it opens, else the observe socket.

    Raises:
        Fault: UNREACHABLE if neither opens.
    """
    if control_opens():
        async with control_async_client() as client:
            yield Connection(client, client)
    else:
        async with observe_async_client() as client:
            yield Connection(client, None)


def runner_of(config: AgentConfig) -> EpisodeRunner | None:
    """The runner for whole episodes, if one is configured."""
    if config.advisor.name != "claude" or config.claude is None:
        return None
    # Imported here, since it needs much more memory than the offline advisor alone.
    from agent.claude.runner import ClaudeRunner

    return ClaudeRunner(config.claude)


async def serve(config: AgentConfig, *, once: bool) -> None:
    """Advise and measure until cancelled, or with `once` until one episode was handled."""
    runner = runner_of(config)
    loop = Loop(connect, BanditAdvisor(), runner=runner, most_trials=config.advisor.most_trials)
    prepared = asyncio.create_task(runner.prepare()) if runner else None
    polls = [
        asyncio.create_task(keep_polling(each, loop.push, loop.count_calls))
        for each in config.measure
    ]
    try:
        await loop.run(once=once)
    finally:
        for poll in polls:
            poll.cancel()
        if runner and prepared:
            prepared.cancel()
            await asyncio.gather(prepared, return_exceptions=True)
            await runner.close()
        await asyncio.gather(*polls, return_exceptions=True)


async def _until_told(config: AgentConfig, once: bool) -> None:
    """`serve`, ended by SIGTERM or SIGINT. A running trial goes on without us."""
    task = asyncio.create_task(serve(config, once=once))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="schedpilot agent",
        description="Handle the daemon's episodes: propose, try, learn, close.",
    )
    parser.add_argument("--once", action="store_true", help="end after one episode was handled")
    parser.add_argument(
        "--advisor", choices=ADVISORS, help=("use this advisor instead of the configured one")
    )
    parser.add_argument(
        "--config", type=named_path, default=PATH, help="the configuration (default: %(default)s)"
    )
    parser.add_argument(
        "--check-config", action="store_true", help="check the configuration and exit"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run with these arguments; the exit status."""
    options = _parser().parse_args(arguments)
    settle_session()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal="JOURNAL_STREAM" in os.environ))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        if options.config != PATH and not options.config.exists():
            raise Fault(
                FaultType.BAD_CONFIG, "this configuration does not exist", where=str(options.config)
            )
        config = read_config(options.config)
    except (Fault, OSError) as error:
        for line in fault_of(error).report().splitlines():
            print(displayable(line, LONGEST_LINE), file=sys.stderr)
        return 1
    if options.check_config:
        print(f"{displayable(str(options.config))}: good, {len(config.measure)} measures")
        return 0
    if options.advisor:
        if options.advisor == "claude" and config.claude is None:
            print("error: the configuration has no table [claude]", file=sys.stderr)
            return 1
        advising = config.advisor.model_copy(update={"name": options.advisor})
        config = config.model_copy(update={"advisor": advising})
    asyncio.run(_until_told(config, options.once))
    return 0


if __name__ == "__main__":
    sys.exit(main())
