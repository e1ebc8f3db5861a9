# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot mcp` as a separate program."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.api.paths import RUN_DIR_VARIABLE
from tests.waiting import ended

# The way users call it: the script that belongs to this Python.
SCHEDPILOT = Path(sys.executable).with_name("schedpilot")


@dataclass(frozen=True)
class Web:
    """Where a server listens, and what a client needs to be let in."""

    url: str
    token: str
    run_dir: Path
    process: subprocess.Popen[str]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


def environment(run_dir: Path) -> dict[str, str]:
    return {**os.environ, RUN_DIR_VARIABLE: str(run_dir)}


@contextmanager
def over_http(run_dir: Path, token_file: Path, *options: str) -> Iterator[Web]:
    """The program with `--http`, on a free port, until the end of the block."""
    argv = [str(SCHEDPILOT), "mcp", "--http", "0", "--token-file", str(token_file), *options]
    with subprocess.Popen(
        argv, env=environment(run_dir), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        try:
            url = said.split()[2].rstrip(",") if said.startswith("schedpilot mcp: http") else said
            yield Web(url, token_file.read_text().strip(), run_dir, process)
        finally:
            process.terminate()
            ended(process, 20)
