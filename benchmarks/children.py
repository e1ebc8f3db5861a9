# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that run during a measurement."""

import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from benchmarks.service import Service
from daemon.api.paths import RUN_DIR_VARIABLE
from process import start_lines


@contextlib.asynccontextmanager
async def running(*words: str | Path) -> AsyncIterator[None]:
    """Runs a child during the block."""
    child = await start_lines(words)
    try:
        yield
    finally:
        await child.end()


@contextlib.asynccontextmanager
async def agent(daemon: Service, *words: str) -> AsyncIterator[None]:
    """A module that works on the daemon's episodes, with its arguments."""
    child = await start_lines([sys.executable, "-m", *words], env=reaching(daemon))
    try:
        yield
    finally:
        await child.end()


def reaching(daemon: Service) -> dict[str, str]:
    """The variables that tell a client where this daemon's sockets are."""
    return {RUN_DIR_VARIABLE: str(Path(daemon.client.path).parent)}


def scope(unit: str) -> tuple[str, ...]:
    """The words before a command that should run in its own control group, as a service does."""
    return ("systemd-run", "--quiet", "--collect", "--scope", f"--unit={unit}", "--")


def workload_of(unit: str) -> str:
    """The workload id of this control group."""
    return f"cgroup:/system.slice/{unit}.scope"
