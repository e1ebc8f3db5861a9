# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot record` with a fake daemon: its requests, and its files."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.api.client import Client
from daemon.api.models import RecordingRequest
from daemon.api.paths import CONTROL_SOCKET, OBSERVE_SOCKET, RUN_DIR_VARIABLE
from process import Completed, Fault, run
from tests.api.fake import Served

ROOT = Path(__file__).parents[2]
Record = Callable[..., Completed]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "run")
    served.service.trace_file = tmp_path / "kept"
    served.service.trace_file.write_bytes(b"\x1f\x8b a trace")
    served.start()
    yield served
    served.stop()


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Run the command in an empty folder."""
    here = tmp_path / "here"
    here.mkdir()

    def call(*words: str) -> Completed:
        return run(
            [sys.executable, "-m", "cli.main", "record", *words],
            timeout=60,
            env={
                RUN_DIR_VARIABLE: str(tmp_path / "run"),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
            },
            cwd=here,
            check=False,
        )

    return call


def test_the_file_is_fetched_and_is_its_owners_alone(
    served: Served, record: Record, tmp_path: Path
) -> None:
    """The trace goes to the requested file, byte for byte, and never replaces another file."""
    done = record("--seconds", "3", "--cgroup", "/a b", "-o", "x.gz")
    assert done.status == 0, done.error_text
    path = tmp_path / "here" / "x.gz"
    assert path.read_bytes() == b"\x1f\x8b a trace"
    assert path.stat().st_mode & 0o777 == 0o600
    asked = dict(served.service.asked)
    assert asked["record"] == RecordingRequest(seconds=3, workload="cgroup:/a b")
    again = record("-o", "x.gz")
    assert again.status == 1
    assert "exists already" in again.error_text


def test_scripts_get_one_document(served: Served, record: Record) -> None:
    """`--json` has the recording and its file; `--list` has the stored ones."""
    found = json.loads(record("--json").text)
    assert found["file"] == "r-1a2b3c.trace.gz"
    assert [each["id"] for each in json.loads(record("--list", "--json").text)] == ["r-1a2b3c"]
    assert "r-1a2b3c" in record("--list").text


def test_recordings_are_fetched_from_the_control_socket_alone(served: Served) -> None:
    """Everybody may see that recordings exist, and not their contents."""
    with Client(served.run_dir / OBSERVE_SOCKET) as client:
        assert client.recording("r-1a2b3c").id == "r-1a2b3c"
        for refused in (
            lambda: client.trace("r-1a2b3c"),
            lambda: client.record(RecordingRequest()),
            lambda: client.stop_recording("r-1a2b3c"),
        ):
            with pytest.raises(Fault):
                refused()
    with Client(served.run_dir / CONTROL_SOCKET) as client:
        assert client.trace("r-1a2b3c") == b"\x1f\x8b a trace"
        assert client.stop_recording("r-1a2b3c").id == "r-1a2b3c"
        with pytest.raises(Fault, match="nothing is at"):
            client.trace("../../etc/passwd")
