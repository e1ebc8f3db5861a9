# SPDX-License-Identifier: GPL-2.0-only
"""One long and fifteen short compressions at once: the kernel's default against `jobs`.

`jobs` is told how long each is expected to run, from one run of each kind before. Under the
default all sixteen share the CPUs, and the long one is left alone at the end.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service import Service, service
from benchmarks.signals_overhead.run import summary
from daemon.api.models import CandidateRequest, HoldRequest, ParametersRequest
from process import LineChild, start_lines

SCHEDULER = "jobs"
MAP = "expected_runtime"
SHORT_JOBS = 15
# The long job's input is so many times a short one's.
LONG = 8
SHORT_BYTES = 1_200_000
# Each round is default, jobs, jobs, default, so that a drift hits both alike.
ROUNDS = 2


async def measure() -> dict[str, object]:
    """Seconds until all jobs are done, for each arm and run."""
    with TemporaryDirectory(prefix="schedpilot-jobs-") as place:
        short, long = _inputs(Path(place))
        batch = [short] * SHORT_JOBS + [long]
        # In the same mixed order each time.
        random.Random(1).shuffle(batch)  # noqa: S311 - an order, not a secret
        expected_ns = {path: round(1e9 * await _alone(path)) for path in (short, long)}
        seconds: dict[str, list[float]] = {"off": [], "jobs": []}
        async with service() as daemon:
            candidate = await daemon.client.create_candidate(CandidateRequest(library=SCHEDULER))
            for arm in ("off", "jobs", "jobs", "off") * ROUNDS:
                if arm == "jobs":
                    await daemon.client.hold(HoldRequest(candidate=candidate.id))
                told = expected_ns if arm == "jobs" else {}
                seconds[arm].append(await _makespan(batch, daemon, told))
                if arm == "jobs":
                    await daemon.client.release("benchmark")
    return {"scheduler": SCHEDULER, **summary(seconds)}


def _inputs(place: Path) -> tuple[Path, Path]:
    """A short and a long input of the same text, the standard library's."""
    texts = sorted(Path(random.__file__).parent.glob("*.py"))
    data = b"".join(path.read_bytes() for path in texts)
    while len(data) < LONG * SHORT_BYTES:
        data += data
    short, long = place / "short", place / "long"
    short.write_bytes(data[:SHORT_BYTES])
    long.write_bytes(data[: LONG * SHORT_BYTES])
    return short, long


async def _job(path: Path) -> LineChild:
    return await start_lines(
        ["zstd", "-q", "--single-thread", "-12", "-f", path, "-o", "/dev/null"]
    )


async def _alone(path: Path) -> float:
    """Seconds that a job takes with the machine to itself."""
    began = time.monotonic()
    await (await _job(path)).wait()
    return time.monotonic() - began


async def _makespan(batch: Sequence[Path], daemon: Service, expected_ns: dict[Path, int]) -> float:
    """Seconds from the start of the first job to the end of the last."""
    began = time.monotonic()
    jobs = [(path, await _job(path)) for path in batch]
    if expected_ns:
        entries = {str(job.pid): expected_ns[path] for path, job in jobs}
        await daemon.client.set_parameters(ParametersRequest(maps={MAP: entries}))
    await asyncio.gather(*(job.wait() for _, job in jobs))
    return time.monotonic() - began
