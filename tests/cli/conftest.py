# SPDX-License-Identifier: GPL-2.0-or-later
"""The command against a fake machine: it runs as its own process, over real sockets."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.api.paths import RUN_DIR_VARIABLE
from process import Completed, run
from tests.agent.machine import ServedMachine, served_machine

Schedpilot = Callable[..., Completed]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_machine(tmp_path / "run", {"latency": 0.4, "batch": 1.6}) as served:
        yield served


@pytest.fixture
def schedpilot(tmp_path: Path) -> Schedpilot:
    """Runs `schedpilot` with these words, as a script would: no terminal."""
    environment = {
        RUN_DIR_VARIABLE: str(tmp_path / "run"),
        "PATH": os.environ["PATH"],
        "TZ": "UTC",
    }

    def call(*words: str, cwd: Path | None = None) -> Completed:
        argv = [sys.executable, "-m", "cli.main", *words]
        return run(argv, timeout=60, env=environment, cwd=cwd, check=False)

    return call
