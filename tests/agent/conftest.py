# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake machine for each test that wants one; the sockets are where clients look for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.api.paths import RUN_DIR_VARIABLE
from tests.agent.machine import ServedMachine, served_machine


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedMachine]:
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    with served_machine(tmp_path / "run", {"latency": 0.4, "batch": 1.6}) as served:
        yield served
