# SPDX-License-Identifier: GPL-2.0-or-later
"""One long and 39 short compressions at once, in the order that a scheduler gives them.

The kernel's default, `order by expected_runtime desc`, the same with `asc`, and the library's
`jobs` take turns, and are compared with what no scheduler can do better than. How long each job
runs the daemon has learned from a batch before; nobody tells it.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service import Service, service
from benchmarks.signals_overhead.run import RESAMPLES
from daemon.api.models import CandidateRequest, HoldRequest
from process import Fault, FaultType, run, start_lines

# What the arms besides the kernel's default load: a line of policy, or a name of the library.
SCHEDULERS = {
    "desc": "order by expected_runtime desc; slice 10ms",
    "asc": "order by expected_runtime asc; slice 10ms",
    "jobs": "jobs",
}
SHORT_JOBS = 39
# The long job's input is so many times a short one's, so that it takes nearly as long as all the
# short ones together: it just fits beside them, on the other of two CPUs, and a wrong order
# costs most. (Starting zstd is a good part of a short job.)
LONG = 45
SHORT_BYTES = 400_000
# The scheduler's map of what it was told, by the name that the kernel keeps of it.
MAP = "expected_runtime"[:15]
# How often that is looked at, and for how long, seconds.
LOOK_S = 0.1
TOLD_LIMIT_S = 30.0
# Each round takes the arms there and back, so that a drift hits all alike.
ARMS = ("off", "desc", "asc", "jobs", "jobs", "asc", "desc", "off")
ROUNDS = 2
# Starts all jobs, each stopped as soon as it has begun to execute zstd; lets them go when it is
# told to; says when each ended and what CPU time it took, by its number, and that after the last,
# since whoever reads it would take the jobs' time. A program of its own, for only a parent learns
# that; and real-time, for a policy that puts it behind the jobs would have it look at its clock
# when all are done. The jobs themselves are ordinary.
SCRIPT = """
import os, signal, sys, time
os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
jobs = []
for path in sys.argv[1:]:
    # It returns once the program is being executed.
    jobs.append(os.posix_spawnp("zstd", ["zstd", "-q", "--single-thread", "-12", "-f", path,
                                         "-o", "/dev/null"], os.environ))
    os.kill(jobs[-1], signal.SIGSTOP)
print("stopped", flush=True)
sys.stdin.readline()
began = time.monotonic()
for job in jobs:
    os.kill(job, signal.SIGCONT)
ended = [(os.wait4(-1, 0), time.monotonic() - began) for _ in jobs]
for (job, status, used), end in ended:
    print(jobs.index(job), end, used.ru_utime + used.ru_stime, status)
"""


@dataclass(frozen=True)
class Batch:
    """What became of one batch, in seconds.

    `makespan` is until all are done, `mean` until a job is done on average; `best_makespan` and
    `best_mean` are bounds by the CPU time that its own jobs took, on average of those with the same
    input: how these differ comes from the host, and nobody could have known.
    """

    makespan: float
    mean: float
    best_makespan: float
    best_mean: float


async def measure() -> dict[str, object]:
    """All batches, and what part of the gap to the bounds is closed."""
    with TemporaryDirectory(prefix="schedpilot-jobs-") as place:
        short, long = _inputs(Path(place))
        batch = [short] * SHORT_JOBS + [long]
        # In the same mixed order each time.
        random.Random(1).shuffle(batch)  # noqa: S311 - an order, not a secret
        found: dict[str, list[Batch]] = {"off": [], **{arm: [] for arm in SCHEDULERS}}
        async with service() as daemon:
            candidates = {arm: await _proven(daemon, each) for arm, each in SCHEDULERS.items()}
            # What the daemon learns from.
            await _run(batch, informed=False)
            for arm in ARMS * ROUNDS:
                if arm in candidates:
                    await daemon.client.hold(HoldRequest(candidate=candidates[arm]))
                found[arm].append(await _run(batch, informed=arm in candidates))
                if arm in candidates:
                    await daemon.client.release("benchmark")
    return {
        "schedulers": SCHEDULERS,
        "batches": {arm: [asdict(each) for each in runs] for arm, runs in found.items()},
        "desc": closed(found["off"], found["desc"], _makespan),
        "asc": closed(found["off"], found["asc"], _mean),
        "jobs": closed(found["off"], found["jobs"], _makespan),
    }


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


async def _run(batch: Sequence[Path], *, informed: bool) -> Batch:
    """One batch, whatever schedules it now.

    Where the scheduler is to be `informed`, the jobs go when it has been told of them all. That
    is a matter of milliseconds on a real machine, and of a second on an emulated one.
    """
    child = await start_lines([sys.executable, "-I", "-S", "-c", SCRIPT, *batch])
    lines = child.lines()
    await anext(lines)
    if informed:
        await asyncio.to_thread(_await_told, len(batch))
    await child.send("go")
    found = [[float(word) for word in line.split()] async for line in lines]
    await child.wait()
    if len(found) != len(batch) or any(status for _, _, _, status in found):
        raise Fault(FaultType.CHILD_FAILED, f"not all of {len(batch)} jobs ended well")
    ends = [end for _, end, _, _ in found]
    took: dict[Path, list[float]] = {path: [] for path in batch}
    for number, _, used, _ in found:
        took[batch[int(number)]].append(used)
    sizes = [statistics.mean(took[path]) for path in batch]
    return Batch(max(ends), statistics.mean(ends), *bounds(sizes, cpu_count() or 1))


def _await_told(jobs: int) -> None:
    """Return when the scheduler knows the runtimes of at least so many processes."""
    limit = time.monotonic() + TOLD_LIMIT_S
    while time.monotonic() < limit:
        done = run(["bpftool", "-j", "map", "dump", "name", MAP], timeout=TOLD_LIMIT_S)
        if len(json.loads(done.stdout)) >= jobs:
            return
        time.sleep(LOOK_S)
    raise Fault(FaultType.TIMEOUT, f"{jobs} jobs were not told within {TOLD_LIMIT_S:g} s")


def bounds(sizes: Sequence[float], cpus: int) -> tuple[float, float]:
    """The least makespan and the least mean completion time of jobs that all start at once.

    The first is a bound; the second is reached by the shortest first without interruption
    (Conway, Maxwell and Miller, Theory of Scheduling, 1967).
    """
    free = [0.0] * cpus
    ends = []
    for size in sorted(sizes):
        free.sort()
        free[0] += size
        ends.append(free[0])
    return max(max(sizes), sum(sizes) / cpus), statistics.mean(ends)


def _makespan(batch: Batch) -> tuple[float, float]:
    return batch.makespan, batch.best_makespan


def _mean(batch: Batch) -> tuple[float, float]:
    return batch.mean, batch.best_mean


def closed(
    off: Sequence[Batch], arm: Sequence[Batch], figures: Callable[[Batch], tuple[float, float]]
) -> dict[str, object]:
    """How much of the gap between the default and the bound an arm closes; 1 is all of it.

    Each batch counts by its own bound, so that one which a busy host made slower, jobs and all,
    counts the same. With the 95 % percentile bootstrap interval over pairs of runs.
    """
    pairs = [(figures(a), figures(b)) for a, b in zip(off, arm, strict=True)]

    def part(drawn: Sequence[tuple[tuple[float, float], tuple[float, float]]]) -> float:
        default, policy = (
            statistics.median(took / bound for took, bound in side)
            for side in zip(*drawn, strict=True)
        )
        return float((default - policy) / (default - 1))

    chance = random.Random(1)  # noqa: S311 - resampling, not secrets
    drawn = sorted(part(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return {
        "default_s": round(statistics.median(a for (a, _), _ in pairs), 3),
        "scheduler_s": round(statistics.median(b for _, (b, _) in pairs), 3),
        "bound_s": round(statistics.median(bound for _, (_, bound) in pairs), 3),
        "closed": round(part(pairs), 3),
        "closed_95": [round(drawn[int(share * RESAMPLES)], 3) for share in (0.025, 0.975)],
    }


async def _proven(daemon: Service, what: str) -> str:
    """The id of a candidate for a line of policy or a name of the library."""
    request = CandidateRequest(policy=what) if " " in what else CandidateRequest(library=what)
    view = await daemon.client.create_candidate(request)
    if not view.proven:
        raise Fault(FaultType.BUILD_FAILED, f"{what} was not proven", details=(str(view),))
    return view.id
