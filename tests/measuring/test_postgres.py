# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL's own counters, from a real server if one is installed; the test starts it."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from agent.measuring.reading import MeasurementReading
from agent.measuring.sources import source_of
from process import Fault, FaultType
from tests.measuring.reading_of import measure_of

_VERSIONS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
needs_postgres = pytest.mark.skipif(not _VERSIONS, reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new cluster, only on a Unix socket; the folder of the socket."""
    folder = tmp_path_factory.mktemp("postgres")
    # The server refuses to run as root.
    drop = (
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if not os.getuid() else []
    )
    if drop:
        for each in (folder, *list(folder.parents)[:2]):
            each.chmod(0o777)
    tool = _VERSIONS[-1]

    def call(*argv: str) -> None:
        done = subprocess.run([*drop, *argv], capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr + done.stdout

    data = str(folder / "data")
    call(str(tool / "initdb"), "-D", data, "-U", "shop", "-A", "trust", "--no-sync")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    preload = "-c shared_preload_libraries=pg_stat_statements"
    call(
        *(str(tool / "pg_ctl"), "-D", data, "-w", "-t", "120", "-l", str(folder / "log")),
        *("-o", f"{options} {preload}", "start"),
    )
    try:
        for database in ("shop", "bare"):
            call("psql", "-h", str(folder), "-U", "shop", "-d", "postgres", "-c",
                 f"CREATE DATABASE {database}")  # fmt: skip
        asks(folder, "CREATE EXTENSION pg_stat_statements; CREATE TABLE a (b int)")
        yield folder
    finally:
        call(str(tool / "pg_ctl"), "-D", data, "-m", "immediate", "stop")


def asks(folder: Path, text: str) -> None:
    argv = ["psql", "-X", "-h", str(folder), "-U", "shop", "-d", "shop", "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def counted(folder: Path, take: str, *texts: str, **given: Any) -> MeasurementReading:
    """What two readings report when this was asked between them."""
    postgres = {"database": "shop", "host": str(folder), "user": "shop", **given}

    async def look() -> MeasurementReading:
        measure = measure_of(postgres=postgres, take=take, timeout_s=60)
        async with source_of(measure) as source:
            await source.take()
            for text in texts:
                asks(folder, text)
            return await source.take()

    return asyncio.run(look())


@needs_postgres
def test_statements_between_two_looks_count(server: Path) -> None:
    """Calls and their mean count, only for statements that match a pattern; our own queries never
    do."""
    insert = "INSERT INTO a VALUES (1)"
    assert counted(server, "count", insert, insert, "SELECT count(*) FROM a").value == 3
    assert counted(server, "count", insert, "SELECT 1", statement="INSERT INTO a%").value == 1
    assert counted(server, "count", statement="it's \\ %").value == 0
    slow = counted(server, "mean", "SELECT pg_sleep(0.1)", statement="%pg_sleep%")
    assert slow.value is not None
    assert slow.value >= 100
    assert slow.unit == "ms"
    assert counted(server, "count").value == 0


@needs_postgres
def test_what_is_in_the_way_is_told_with_the_remedy(server: Path) -> None:
    """A missing extension, role, database or server is reported with its remedy."""
    for given, type_, hint in (
        ({"database": "bare"}, FaultType.NOT_INSTALLED, "CREATE EXTENSION"),
        ({"user": "nobody"}, FaultType.NOT_ALLOWED, "pg_read_all_stats"),
        ({"database": "none"}, FaultType.UNREACHABLE, "check `database`"),
        ({"host": "/nowhere"}, FaultType.UNREACHABLE, "check `database`"),
    ):
        with pytest.raises(Fault) as caught:
            counted(server, "rate", **given)
        assert caught.value.type is type_, caught.value
        assert hint in caught.value.hint


@pytest.mark.parametrize(
    "given",
    [
        {"database": "host=evil"},
        {"database": "postgresql://evil"},
        {"database": "a", "user": "x y"},
        {"database": "a", "statement": "x\nDROP"},
        {"database": "a", "password": "x"},
    ],
)
def test_names_are_names(given: dict[str, Any]) -> None:
    """A connection string, a password and a second line of SQL are refused."""
    with pytest.raises(ValidationError):
        measure_of(postgres=given)
