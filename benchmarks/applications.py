# SPDX-License-Identifier: GPL-2.0-or-later
"""Applications that count their own work: how to start each, run it once, and read its figures.

Each one runs in its own control group, so that it is a workload by itself.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import running, scope, workload_of
from benchmarks.schbench import NAME, counted, find
from process import Fault, FaultType, run, within

# One run of an application, seconds. Applications with a fixed amount of work take about as long.
RUN_S = 6
LIMIT_S = 300.0
# Neighbours of the servers, so that the scheduler has something to decide.
LOOPS = 2
# wrk stands for clients on another machine. It does not wait for the CPUs of this one, or the
# latency that it reports would contain its own waits. pgbench waits: a client that is always faster
# than the server has the next request ready before the server sleeps, so no request would be seen
# to end.
ELSEWHERE = ("chrt", "--fifo", "1")
PORT = 8099
POLL_S = 0.2


@dataclass(frozen=True)
class Own:
    """The application's own figures of one run: how long a piece of its work takes (ms), and how
    many it completes in a second. `tail`: the 99th percentile; if false, the mean."""

    latency_ms: float
    rate_per_s: float
    tail: bool = False


@dataclass(frozen=True)
class Application:
    """One application.

    Attributes:
        started: what runs before the runs begin, and ends after them.
        once: one run.
        jobs: its pieces of work are processes, not answers.
        crowded: it has computing neighbours.
    """

    name: str
    unit: str
    started: Callable[[Path], AbstractAsyncContextManager[None]]
    once: Callable[[Path], Awaitable[Own]]
    jobs: bool = False
    crowded: bool = False

    @property
    def workload(self) -> str:
        return workload_of(self.unit)


def _joined(unit: str, *words: str | Path) -> list[str | Path]:
    """The command in the group of `_kept`, which exists before and after it."""
    procs = f"/sys/fs/cgroup/system.slice/{unit}.scope/cgroup.procs"
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', procs, *words]


@contextlib.asynccontextmanager
async def _kept(unit: str) -> AsyncIterator[None]:
    """A control group with a sleeper. A group of short commands would be gone before anybody looks
    at it."""
    async with running(*scope(unit), "sleep", "infinity"):
        await _answers(["test", "-e", f"/sys/fs/cgroup/system.slice/{unit}.scope/cgroup.procs"])
        yield


def _found(pattern: str, text: str, what: str) -> float:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise Fault(FaultType.CHILD_FAILED, f"{what} did not say what it counted", details=(text,))
    return float(found[1])


async def _said(words: Sequence[str | Path]) -> str:
    """The standard output of a command that succeeds."""
    return (await asyncio.to_thread(run, words, timeout=LIMIT_S)).text


async def _answers(words: Sequence[str | Path]) -> None:
    """Return when this command succeeds.

    Raises:
        TimeoutError: it never succeeds.
    """
    async with within(LIMIT_S):
        while True:
            done = await asyncio.to_thread(run, words, timeout=LIMIT_S, check=False)
            if not done.status:
                return
            await asyncio.sleep(POLL_S)


@contextlib.asynccontextmanager
async def _nothing(place: Path) -> AsyncIterator[None]:
    del place
    yield


# ---- schbench


async def _schbench(place: Path) -> Own:
    del place
    count = await asyncio.to_thread(counted, find(), RUN_S)
    return Own(count.p99_us / 1e3, count.requests_per_s, tail=True)


# ---- Redis and its own client


@contextlib.asynccontextmanager
async def _redis(place: Path) -> AsyncIterator[None]:
    socket = place / "redis.sock"
    words = ("redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--dir", place)
    async with running(*scope("own-redis"), *words):
        await _answers(["redis-cli", "-s", socket, "ping"])
        yield


async def _redis_client(place: Path) -> Own:
    words = ("redis-benchmark", "-s", place / "redis.sock", "-n", "20000", "-c", "8", "-t", "get")
    text = await _said([*scope("own-client"), *words, "--csv"])
    line = next(each for each in text.splitlines() if each.startswith('"GET"'))
    cells = [each.strip('"') for each in line.split(",")]
    # "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95…","p99…","max…"
    return Own(float(cells[6]), float(cells[1]), tail=True)


# ---- PostgreSQL and pgbench


def _postgres_program(name: str) -> Path:
    return max(Path("/usr/lib/postgresql").glob("*/bin")) / name


@contextlib.asynccontextmanager
async def _postgres(place: Path) -> AsyncIterator[None]:
    data = place / "data"
    data.mkdir()
    await _said(["chown", "postgres", place, data])
    user = ("runuser", "-u", "postgres", "--")
    await _said([*user, _postgres_program("initdb"), "--auth=trust", "--no-sync", "-D", data])
    server = (
        *user,
        _postgres_program("postgres"),
        "-D",
        data,
        "-k",
        place,
        "-c",
        "listen_addresses=",
    )
    async with running(*scope("own-postgres"), *server):
        await _answers([*user, _postgres_program("pg_isready"), "-q", "-h", place])
        await _said([*user, _postgres_program("pgbench"), "-h", place, "-q", "-i", "postgres"])
        yield


async def _pgbench(place: Path) -> Own:
    user = ("runuser", "-u", "postgres", "--")
    words = (*user, _postgres_program("pgbench"), "-h", place, "-S", "-c", "4", "-T", str(RUN_S))
    text = await _said([*scope("own-client"), *words, "postgres"])
    return Own(
        _found(r"^latency average = ([0-9.]+) ms", text, "pgbench"),
        _found(r"^tps = ([0-9.]+)", text, "pgbench"),
    )


# ---- nginx and wrk

_NGINX = """
daemon off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log;
events {{ }}
http {{ access_log off; server {{ listen 127.0.0.1:{port}; location / {{ return 200 "yes"; }} }} }}
"""


@contextlib.asynccontextmanager
async def _nginx(place: Path) -> AsyncIterator[None]:
    config = place / "nginx.conf"
    config.write_text(_NGINX.format(place=place, port=PORT), "ascii")
    async with running(*scope("own-nginx"), "nginx", "-c", config):
        await _answers(["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{PORT}/"])
        yield


async def _wrk(place: Path) -> Own:
    del place
    words = ["wrk", "-t", "1", "-c", "8", "-d", f"{RUN_S}s", "--latency"]
    text = await _said([*scope("own-client"), *ELSEWHERE, *words, f"http://127.0.0.1:{PORT}/"])
    # wrk pads units that have one letter.
    value, unit = re.findall(r"^ +99% +([0-9.]+)(us|ms|s) *$", text, re.MULTILINE)[0]
    factor = {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    return Own(float(value) * factor, _found(r"^Requests/sec: +([0-9.]+)", text, "wrk"), tail=True)


# ---- Jobs

# The compression level of each job: twelve that differ by an order of magnitude.
LEVELS = (1, 12, 2, 3, 1, 9, 1, 2, 1, 3, 6, 1)
_BATCH = """
import os, sys, time
began = {}
for level in sys.argv[2:]:
    words = ["zstd", "-q", "--single-thread", "-f", f"-{level}", sys.argv[1], "-o", "/dev/null"]
    at = time.monotonic()
    began[os.posix_spawnp("zstd", words, os.environ)] = at
took = []
for _ in range(len(began)):
    pid, _ = os.wait()
    took.append(time.monotonic() - began[pid])
print(1e3 * sum(took) / len(took))
"""
_SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int work_{n}(int argc, char **argv) {{ for (int i = 0; i < argc; i++) puts(argv[i]); return {n}; }}
"""
_MAKE = "all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\tclang -O1 -c -o $@ $<\n"
FILES = 10


@contextlib.asynccontextmanager
async def _inputs(place: Path) -> AsyncIterator[None]:
    text = b"".join(path.read_bytes() for path in sorted(Path(re.__file__).parent.glob("*.py")))
    (place / "input").write_bytes(text * 120)
    async with _kept("own-batch"):
        yield


async def _batch(place: Path) -> Own:
    words: list[str | Path] = [sys.executable, "-I", "-S", "-c", _BATCH, place / "input"]
    words += [str(level) for level in LEVELS]
    loop = asyncio.get_running_loop()
    began = loop.time()
    mean_ms = float(await _said(_joined("own-batch", *words)))
    return Own(mean_ms, len(LEVELS) / (loop.time() - began))


@contextlib.asynccontextmanager
async def _sources(place: Path) -> AsyncIterator[None]:
    (place / "Makefile").write_text(_MAKE, "ascii")
    for number in range(FILES):
        (place / f"{number}.c").write_text(_SOURCE.format(n=number), "ascii")
    async with _kept("own-build"):
        yield


async def _build(place: Path) -> Own:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await _said(_joined("own-build", "make", "-s", "-B", "-j4", "-C", place))
    took = loop.time() - began
    return Own(took * 1e3, FILES / took)


@contextlib.asynccontextmanager
async def _room(place: Path) -> AsyncIterator[None]:
    del place
    async with _kept("own-hackbench"):
        yield


async def _hackbench(place: Path) -> Own:
    del place
    text = await _said(_joined("own-hackbench", "hackbench", "-g", "2", "-l", "60"))
    took = _found(r"^Time: ([0-9.]+)", text, "hackbench")
    return Own(took * 1e3, 1 / took)


APPLICATIONS = (
    Application(NAME, NAME, _nothing, _schbench),
    Application("Redis", "own-redis", _redis, _redis_client, crowded=True),
    Application("pgbench", "own-postgres", _postgres, _pgbench, crowded=True),
    Application("nginx with wrk", "own-nginx", _nginx, _wrk, crowded=True),
    Application("uneven batch", "own-batch", _inputs, _batch, jobs=True),
    Application("build", "own-build", _sources, _build, jobs=True),
    # Its threads sleep less if they run longer without a break, so an activation is no piece of its
    # work.
    Application("hackbench", "own-hackbench", _room, _hackbench, jobs=True),
)
