# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes for the length of a measurement."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.service import Service
from daemon.api.paths import RUN_DIR_VARIABLE
from process import start_lines


@contextlib.asynccontextmanager
async def running(*words: str | Path) -> AsyncIterator[None]:
    """A child for the length of the block."""
    child = await start_lines(words)
    try:
        yield
    finally:
        await child.end()


@contextlib.asynccontextmanager
async def agent(daemon: Service, *words: str) -> AsyncIterator[None]:
    """A module that deals with the daemon's episodes, with its arguments."""
    child = await start_lines([sys.executable, "-m", *words], env=reaching(daemon))
    try:
        yield
    finally:
        await child.end()


def reaching(daemon: Service) -> dict[str, str]:
    """What tells a client where this daemon's sockets are."""
    return {RUN_DIR_VARIABLE: str(Path(daemon.client.path).parent)}


def scope(unit: str) -> tuple[str, ...]:
    """The words before a command that is to have a control group of its own, as a service has."""
    return ("systemd-run", "--quiet", "--collect", "--scope", f"--unit={unit}", "--")


def workload_of(unit: str) -> str:
    """The id of the workload that this control group is."""
    return f"cgroup:/system.slice/{unit}.scope"
