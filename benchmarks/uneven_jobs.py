# SPDX-License-Identifier: GPL-2.0-or-later
"""One long and 39 short compressions at once, in the order that a scheduler chooses.

The kernel's default, `order by expected_runtime desc`, the same with `asc`, and the library's
`jobs` take turns, and are compared with a bound that no scheduler can beat. The daemon has learned
the runtime of each job from an earlier batch; nobody tells it.
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

# What the arms other than the kernel's default load: a line of policy, or a name of the library.
SCHEDULERS = {
    "desc": "order by expected_runtime desc; slice 10ms",
    "asc": "order by expected_runtime asc; slice 10ms",
    "jobs": "jobs",
}
SHORT_JOBS = 39
# The long job's input is this many times a short one's, so that it takes nearly as long as all the
# short ones together. It just fits beside them on the other of two CPUs, and a wrong order costs
# most. (Starting zstd is a good part of a short job.)
LONG = 45
SHORT_BYTES = 400_000
# The scheduler's map of expected runtimes, by the kernel's name for it.
MAP = "expected_runtime"[:15]
# How often the map is read, and for how long, seconds.
LOOK_S = 0.1
TOLD_LIMIT_S = 30.0
# Each round runs the arms forwards and backwards, so that a drift affects all of them equally.
ARMS = ("off", "desc", "asc", "jobs", "jobs", "asc", "desc", "off")
ROUNDS = 2
# Starts all jobs and stops each as soon as it executes zstd. Continues them on request. Prints when
# each job ended and its CPU time, by its number. It prints only after the last job, because a
# reader would take CPU time from the jobs. It is a separate program, because only a parent gets
# these times. It is real-time, because a policy that puts it behind the jobs would let it read its
# clock only when all are done. The jobs themselves are ordinary.
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
    """The times of one batch, in seconds.

    `makespan` is the time until all are done, `mean` the average time until a job is done.
    `best_makespan` and `best_mean` are bounds from the CPU time of its own jobs, averaged over
    those with the same input: these differ because of the host, and nobody could know that.
    """

    makespan: float
    mean: float
    best_makespan: float
    best_mean: float


async def measure() -> dict[str, object]:
    """All batches, and the part of the gap to the bounds that each arm closes."""
    with TemporaryDirectory(prefix="schedpilot-jobs-") as place:
        short, long = _inputs(Path(place))
        batch = [short] * SHORT_JOBS + [long]
        # The same mixed order each time.
        random.Random(1).shuffle(batch)  # noqa: S311 - an order, not a secret
        found: dict[str, list[Batch]] = {"off": [], **{arm: [] for arm in SCHEDULERS}}
        async with service() as daemon:
            candidates = {arm: await _proven(daemon, each) for arm, each in SCHEDULERS.items()}
            # The batch from which the daemon learns.
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
    """A short and a long input from the same text, that of the standard library."""
    texts = sorted(Path(random.__file__).parent.glob("*.py"))
    data = b"".join(path.read_bytes() for path in texts)
    while len(data) < LONG * SHORT_BYTES:
        data += data
    short, long = place / "short", place / "long"
    short.write_bytes(data[:SHORT_BYTES])
    long.write_bytes(data[: LONG * SHORT_BYTES])
    return short, long


async def _run(batch: Sequence[Path], *, informed: bool) -> Batch:
    """One batch under the scheduler that runs now.

    If the scheduler is to be `informed`, the jobs start when it knows all of them. That takes
    milliseconds on a real machine, and a second on an emulated one.
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
    """Return when the scheduler knows the runtimes of at least this many processes."""
    limit = time.monotonic() + TOLD_LIMIT_S
    while time.monotonic() < limit:
        done = run(["bpftool", "-j", "map", "dump", "name", MAP], timeout=TOLD_LIMIT_S)
        if len(json.loads(done.stdout)) >= jobs:
            return
        time.sleep(LOOK_S)
    raise Fault(FaultType.TIMEOUT, f"{jobs} jobs were not told within {TOLD_LIMIT_S:g} s")


def bounds(sizes: Sequence[float], cpus: int) -> tuple[float, float]:
    """The least makespan and the least mean completion time of jobs that all start at once.

    The first is a bound. Shortest first without interruption reaches the second (Conway, Maxwell
    and Miller, Theory of Scheduling, 1967).
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
    """The part of the gap between the default and the bound that an arm closes; 1 is all of it.

    Each batch counts by its own bound, so that a batch on a slower, busy host counts the same. With
    the 95 % percentile bootstrap interval over pairs of runs.
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
