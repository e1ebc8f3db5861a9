# SPDX-License-Identifier: GPL-2.0-or-later
"""Redis' own counters, over its protocol: from the real server if it is installed, else from a
stand-in that speaks the protocol."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agent.measuring.deltas import RESET
from agent.measuring.reading import MeasurementReading
from agent.measuring.redis import ANSWER_LIMIT_BYTES, counts
from agent.measuring.sources import source_of
from process import Fault, FaultType, run
from tests.measuring.reading_of import measure_of

TEXT = (
    "# Commandstats\r\n"
    "cmdstat_get:calls=100,usec=900,usec_per_call=9.00,rejected_calls=0,failed_calls=0\r\n"
    "cmdstat_set:calls=50,usec=1100,usec_per_call=22.00,rejected_calls=0,failed_calls=0\r\n"
    "cmdstat_info:calls=9,usec=9000,usec_per_call=1000.00\r\n"
    "cmdstat_client|list:calls=1,usec=7,usec_per_call=7.00\r\n"
    "cmdstat_config|get:calls=3,usec=7\r\n"
    "cmdstat_broken:calls=x,usec=1\r\ncmdstat_short\r\n"
)


def test_commands_are_summed() -> None:
    """All commands that are the application's work are summed, or one with its subcommands; odd
    lines are skipped."""
    assert (counts(TEXT, None).count, counts(TEXT, None).sum) == (150, 2000)
    assert (counts(TEXT, "get").count, counts(TEXT, "get").sum) == (100, 900)
    assert counts(TEXT, "client").count == 1
    assert counts(TEXT, "none").count == 0


class StandIn:
    """Speaks the part of RESP2 that is needed; the last of the `answers` to INFO repeats."""

    def __init__(self, *answers: bytes, password: bytes = b"") -> None:
        self.answers = list(answers)
        self.password = password
        self.asked: list[list[bytes]] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        allowed = not self.password
        try:
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = []
                for _ in range(count):
                    size = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                self.asked.append(words)
                if words[0] == b"AUTH":
                    allowed = words[-1] == self.password
                    writer.write(b"+OK\r\n" if allowed else b"-WRONGPASS invalid\r\n")
                elif not allowed:
                    writer.write(b"-NOAUTH Authentication required.\r\n")
                else:
                    writer.write(self.answers.pop(0) if self.answers[1:] else self.answers[0])
        except asyncio.IncompleteReadError:
            writer.close()

    @asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._serve, path)
        async with server:
            yield


def info(text: str) -> bytes:
    raw = text.encode()
    return b"$%d\r\n%s\r\n" % (len(raw), raw)


def asked(
    stand_in: StandIn, folder: Path, take: str = "rate", redis: dict[str, str] | None = None
) -> MeasurementReading:
    """The second reading of it."""
    path = folder / "redis.sock"

    async def look() -> MeasurementReading:
        measure = measure_of(redis={"address": str(path), **(redis or {})}, take=take, timeout_s=20)
        async with stand_in.serving(path), source_of(measure) as source:
            assert (await source.take()).value is None
            await asyncio.sleep(0.06)
            return await source.take()

    return asyncio.run(look())


def grown(calls: int, usec: int) -> bytes:
    return info(f"cmdstat_get:calls={calls},usec={usec},usec_per_call=1\r\n")


def test_what_came_between_two_looks(tmp_path: Path) -> None:
    """Commands a second and microseconds for each command cover only the interval."""
    reading = asked(StandIn(grown(100, 900), grown(110, 1400)), tmp_path, "mean")
    assert (reading.value, reading.unit, reading.count) == (50.0, "us", 10)
    reading = asked(StandIn(grown(100, 900), grown(110, 1400)), tmp_path)
    assert reading.value is not None
    assert 0 < reading.value <= 10 / 0.06
    assert asked(StandIn(grown(100, 9), grown(1, 1)), tmp_path).notes == (RESET,)


def test_a_password_is_read_from_its_file(tmp_path: Path) -> None:
    """The password is sent with the user; a wrong or missing one is reported with the remedy."""
    (tmp_path / "secret").write_text("x y\n")
    stand_in = StandIn(grown(1, 1), grown(2, 2), password=b"x y")
    given = {"user": "watcher", "password_file": str(tmp_path / "secret")}
    assert asked(stand_in, tmp_path, "count", given).value == 1
    assert stand_in.asked[0] == [b"AUTH", b"watcher", b"x y"]
    for wrong in (None, given):
        (tmp_path / "secret").write_text("wrong")
        with pytest.raises(Fault) as caught:
            asked(StandIn(grown(1, 1), password=b"x y"), tmp_path, "rate", wrong)
        assert caught.value.type is FaultType.NOT_ALLOWED
        assert "password_file" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [
        b"$%d\r\n" % (ANSWER_LIMIT_BYTES + 1),
        b"$-1\r\n",
        b"$x\r\n",
        b"*1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"x" * 200_000,
    ],
)
def test_what_is_no_answer_is_a_fault(tmp_path: Path, answer: bytes) -> None:
    """An answer that is too large, or has another shape or protocol, neither hangs nor stays."""
    with pytest.raises(Fault) as caught:
        asked(StandIn(answer), tmp_path)
    assert caught.value.type is FaultType.UNREACHABLE


def test_a_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """The fault comes at once, by socket and by port."""

    async def look(address: str) -> None:
        async with source_of(measure_of(redis={"address": address})) as source:
            await source.take()

    for address in (str(tmp_path / "none.sock"), "127.0.0.1:1"):
        with pytest.raises(Fault) as caught:
            asyncio.run(look(address))
        assert caught.value.type is FaultType.UNREACHABLE


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_the_real_server_counts_what_a_client_does(tmp_path: Path) -> None:
    """A real redis-server counts ten real commands between two readings."""
    path = tmp_path / "real.sock"
    argv = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    server = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        _wait(path.exists)

        async def look() -> MeasurementReading:
            measure = measure_of(redis={"address": str(path)}, take="count", timeout_s=20)
            async with source_of(measure) as source:
                await source.take()
                for _ in range(10):
                    run(["redis-cli", "-s", str(path), "set", "a", "b"], timeout=60)
                return await source.take()

        assert asyncio.run(look()).value == 10
    finally:
        server.kill()
        server.wait()


def _wait(there: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not there():
        assert time.monotonic() < limit
        time.sleep(0.05)
