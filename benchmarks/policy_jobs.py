# SPDX-License-Identifier: GPL-2.0-only
"""One long and 39 short compressions at once, in the order that a line of policy gives them.

The kernel's default, `order by expected_runtime desc` and the same with `asc` take turns, and
are compared with what no scheduler can do better than. How long each kind runs is known from
a run of its own before. And: how long it takes from a line to a scheduler in force, by step.
"""

import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.service import Service, service
from benchmarks.signals_overhead.run import RESAMPLES
from daemon.api.models import CandidateRequest, HoldRequest, ParametersRequest
from process import Fault, FaultType, start_lines

MAP = "expected_runtime"
POLICIES = {
    "desc": "order by expected_runtime desc; slice 10ms",
    "asc": "order by expected_runtime asc; slice 10ms",
}
# For the steps: each time a new line, so that nothing comes from a cache.
TIMED = 'comm ~ "service*" {{ latency; preempt; slice {us}us }}'
TIMES = 7
SHORT_JOBS = 39
# The long job's input is so many times a short one's, so that it takes nearly as long as all the
# short ones together: it just fits beside them, on the other of two CPUs, and a wrong order
# costs most. (Starting zstd is a good part of a short job.)
LONG = 45
SHORT_BYTES = 400_000
# Each round takes the arms there and back, so that a drift hits all alike.
ARMS = ("off", "desc", "asc", "asc", "desc", "off")
ROUNDS = 2
# Starts all jobs, stopped before their first step, and says who is who; lets them go; says when
# each ended and what CPU time it took. A program of its own, for only a parent learns that.
SCRIPT = """
import os, signal, sys, time
STOPPED = 'kill -STOP $$; exec zstd -q --single-thread -12 -f "$1" -o /dev/null'
jobs = [os.posix_spawn("/bin/sh", ["sh", "-c", STOPPED, "sh", path], os.environ)
        for path in sys.argv[1:]]
for job, path in zip(jobs, sys.argv[1:]):
    os.waitpid(job, os.WUNTRACED)
    print("job", job, path)
print("all", flush=True)
sys.stdin.readline()
began = time.monotonic()
for job in jobs:
    os.kill(job, signal.SIGCONT)
for _ in jobs:
    job, _, used = os.wait4(-1, 0)
    print("end", time.monotonic() - began, used.ru_utime + used.ru_stime, flush=True)
"""


@dataclass(frozen=True)
class Batch:
    """What became of one batch, in seconds.

    `makespan` is until all are done, `mean` until a job is done on average; `best_makespan` and
    `best_mean` are bounds by the CPU time that its own jobs took.
    """

    makespan: float
    mean: float
    best_makespan: float
    best_mean: float


async def measure() -> dict[str, object]:
    """All batches, what part of the gap to the bounds is closed, and the times of the steps."""
    with TemporaryDirectory(prefix="schedpilot-jobs-") as place:
        short, long = _inputs(Path(place))
        batch = [short] * SHORT_JOBS + [long]
        # In the same mixed order each time.
        random.Random(1).shuffle(batch)  # noqa: S311 - an order, not a secret
        alone = {path: await _alone(path) for path in (short, long)}
        found: dict[str, list[Batch]] = {"off": [], **{arm: [] for arm in POLICIES}}
        async with service() as daemon:
            steps = await _steps(daemon)
            candidates = {arm: await _proven(daemon, line) for arm, line in POLICIES.items()}
            for arm in ARMS * ROUNDS:
                if arm in candidates:
                    await daemon.client.hold(HoldRequest(candidate=candidates[arm]))
                found[arm].append(await _run(batch, daemon if arm in candidates else None, alone))
                if arm in candidates:
                    await daemon.client.release("benchmark")
    return {
        "policies": POLICIES,
        "alone_s": [round(alone[path], 3) for path in (short, long)],
        "batches": {arm: [asdict(each) for each in runs] for arm, runs in found.items()},
        "makespan": closed(found["off"], found["desc"], _makespan),
        "mean": closed(found["off"], found["asc"], _mean),
        "steps_s": steps,
    }


# ------------------------------------------------------------------ the batch


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


async def _jobs(
    batch: Sequence[Path], tell: Callable[[dict[str, Path]], Awaitable[None]]
) -> list[tuple[float, float]]:
    """When each job ended after all had begun, and its CPU time, seconds, as they ended.

    `tell` gets all jobs by their process id before they begin.
    """
    child = await start_lines([sys.executable, "-I", "-S", "-c", SCRIPT, *batch])
    jobs: dict[str, Path] = {}
    ends: list[tuple[float, float]] = []
    async for raw in child.lines():
        word, *rest = raw.decode().split()
        if word == "job":
            jobs[rest[0]] = Path(rest[1])
        elif word == "all":
            await tell(jobs)
            await child.send("go")
        else:
            ends.append((float(rest[0]), float(rest[1])))
    await child.wait()
    if len(ends) != len(batch):
        raise Fault(FaultType.CHILD_FAILED, f"{len(ends)} of {len(batch)} jobs ended")
    return ends


async def _alone(path: Path) -> float:
    """CPU time of a job that has the machine to itself, seconds."""

    async def tell_nobody(_: dict[str, Path]) -> None:
        pass

    ((_, used),) = await _jobs([path], tell_nobody)
    return used


async def _run(batch: Sequence[Path], daemon: Service | None, alone: dict[Path, float]) -> Batch:
    """One batch; the daemon is told how long each job is expected to take."""

    async def tell(jobs: dict[str, Path]) -> None:
        if daemon:
            expected = {pid: round(1e9 * alone[path]) for pid, path in jobs.items()}
            await daemon.client.set_parameters(ParametersRequest(maps={MAP: expected}))

    found = await _jobs(batch, tell)
    ends, sizes = [end for end, _ in found], [used for _, used in found]
    return Batch(max(ends), statistics.mean(ends), *bounds(sizes, cpu_count() or 1))


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
        "policy_s": round(statistics.median(b for _, (b, _) in pairs), 3),
        "bound_s": round(statistics.median(bound for _, (_, bound) in pairs), 3),
        "closed": round(part(pairs), 3),
        "closed_95": [round(drawn[int(share * RESAMPLES)], 3) for share in (0.025, 0.975)],
    }


# ------------------------------------------------------------------ from text to enabled


async def _steps(daemon: Service) -> dict[str, list[float]]:
    """Seconds of each step from a line to a scheduler in force, one for each repetition."""
    seconds: dict[str, list[float]] = {}
    for number in range(TIMES + 1):
        line = TIMED.format(us=500 + number)
        view = await daemon.client.create_candidate(CandidateRequest(policy=line))
        began = time.monotonic()
        await daemon.client.hold(HoldRequest(candidate=view.id))
        took = {each.gate.value: each.seconds for each in view.gates}
        took["enable"] = time.monotonic() - began
        await daemon.client.release("benchmark")
        if not number:
            # The very first one waits for what all of them share.
            continue
        for step, each in took.items():
            seconds.setdefault(step, []).append(round(each, 4))
    seconds["all"] = [round(sum(each), 4) for each in zip(*seconds.values(), strict=True)]
    return seconds


async def _proven(daemon: Service, line: str) -> str:
    """The id of a candidate for this line."""
    view = await daemon.client.create_candidate(CandidateRequest(policy=line))
    if not view.proven:
        raise Fault(FaultType.BUILD_FAILED, f"{line} was not proven", details=(str(view),))
    return view.id
