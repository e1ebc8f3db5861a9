# SPDX-License-Identifier: GPL-2.0-or-later
"""The applications' own figures compared with our signals.

Seven applications run under the kernel's default and three schedulers in turn. A trial judges as
the application would if response time and completions (for a batch: turnaround and jobs) put the
schedulers in the same order as the application's own latency and rate do.
"""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import schbench
from benchmarks.applications import APPLICATIONS, LOOPS, Application, Own
from benchmarks.children import running
from benchmarks.rank_correlation import Pair, of_runs, of_schedulers, spearman
from benchmarks.service import Service, service
from bpf.signals.source import SignalsLine, SignalsSource, merge, percentile
from daemon.api.models import CandidateRequest, HoldRequest
from daemon.decide.settings import TrialSettings
from process import Fault, FaultType

DEFAULT = "default"
ARMS = (DEFAULT, "batch", "latency", "fifo")
# Fewer runs of a scheduler are too few to distinguish it from another.
ROUNDS = 4
# The wait after a change of the scheduler, seconds.
SETTLE_S = 1.0
# A control group exists as long as something runs in it, so it is read meanwhile.
INTERVAL_S = 1.0
LIMIT_S = 900.0
APART = TrialSettings().min_gain


@dataclass(frozen=True)
class OwnNumbersRun:
    """One run: the application's own figures, and ours for the same time."""

    arm: str
    own: Own
    latency_ms: float
    rate_per_s: float


async def measure() -> dict[str, object]:
    """All runs of each application, and how well the two orders agree."""
    found: dict[str, object] = {}
    left_out = []
    async with service() as daemon:
        candidates = {}
        for arm in ARMS[1:]:
            view = await daemon.client.create_candidate(CandidateRequest(library=arm))
            if not view.proven:
                raise Fault(FaultType.BUILD_FAILED, f"{arm} was not proven", why=str(view))
            candidates[arm] = view.id
        for each in APPLICATIONS:
            if each.name == schbench.NAME and shutil.which(schbench.NAME) is None:
                left_out.append(each.name)
                continue
            try:
                found[each.name] = await _application(daemon, candidates, each)
            except Fault as fault:
                left_out.append(f"{each.name} ({fault})")
    return {"arms": ARMS, "applications": found, "left_out": left_out}


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """A folder that servers can reach, which run as their own users."""
    with TemporaryDirectory(prefix="schedpilot-own-") as name:
        place = Path(name)
        place.chmod(0o755)
        yield place


async def _application(
    daemon: Service, candidates: dict[str, str], each: Application
) -> dict[str, object]:
    runs = []
    async with contextlib.AsyncExitStack() as stack:
        place = stack.enter_context(_place())
        await stack.enter_async_context(each.started(place))
        if each.crowded:
            for _ in range(LOOPS):
                await stack.enter_async_context(running("sh", "-c", "while :; do :; done"))
        signals = await stack.enter_async_context(SignalsSource(INTERVAL_S))
        lines = signals.lines()
        for turn in range(ROUNDS):
            # Not always in the same order, so that a drift affects all of them equally.
            for arm in ARMS if turn % 2 else reversed(ARMS):
                if arm in candidates:
                    await daemon.client.hold(HoldRequest(candidate=candidates[arm]))
                await asyncio.sleep(SETTLE_S)
                own, seen = await _seen(signals, lines, each.once(place))
                runs.append(_run(arm, own, each, seen))
                if arm in candidates:
                    await daemon.client.release("benchmark")
    return {
        "jobs": each.jobs,
        "latency": _agreement([(run.arm, (run.own.latency_ms, run.latency_ms)) for run in runs]),
        "rate": _agreement([(run.arm, (run.own.rate_per_s, run.rate_per_s)) for run in runs]),
        "runs": [
            {
                "arm": run.arm,
                "own": [run.own.latency_ms, run.own.rate_per_s],
                "ours": [run.latency_ms, run.rate_per_s],
            }
            for run in runs
        ],
    }


async def _seen(
    signals: SignalsSource, lines: AsyncIterator[SignalsLine], work: Awaitable[Own]
) -> tuple[Own, list[SignalsLine]]:
    """The application's figures of this run, and the lines of signals of exactly this time."""
    began_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    await signals.flush()
    while (await anext(lines)).t_ns < began_ns:
        pass
    seen: list[SignalsLine] = []
    doing = asyncio.ensure_future(work)
    coming = asyncio.ensure_future(anext(lines))
    try:
        while not doing.done():
            await asyncio.wait((doing, coming), return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                seen.append(coming.result())
                coming = asyncio.ensure_future(anext(lines))
        own = await doing
        # At once, because time without work would count as well.
        ended_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        await signals.flush()
        seen.append(await coming)
        while seen[-1].t_ns < ended_ns:
            seen.append(await anext(lines))
    finally:
        coming.cancel()
    return own, seen


def _run(arm: str, own: Own, each: Application, lines: Sequence[SignalsLine]) -> OwnNumbersRun:
    parts = [part for line in lines if (part := line.workload(each.workload))]
    if not parts:
        raise Fault(FaultType.NOT_FOUND, f"nothing was seen of {each.name}", where=each.workload)
    span_s = sum(line.interval_s for line in lines)
    if each.jobs:
        ended = merge(part.turnaround_us for part in parts)
        return OwnNumbersRun(arm, own, ended.mean / 1e3, ended.count / span_s)
    response = merge(part.response_us for part in parts)
    # Unfinished work counts with its time so far, as in a trial's window.
    known = merge((response, parts[-1].open_us))
    latency_us = percentile(known, 0.99) if own.tail else known.mean
    return OwnNumbersRun(arm, own, latency_us / 1e3, response.count / span_s)


def _agreement(figures: Sequence[tuple[str, Pair]]) -> dict[str, float]:
    by_arm = {arm: [pair for of, pair in figures if of == arm] for arm in ARMS}
    pairs = [pair for _, pair in figures]
    schedulers, told_apart = of_schedulers(by_arm, APART)
    return {
        "schedulers": schedulers,
        "told_apart": told_apart,
        "runs": of_runs(pairs, APART),
        "spearman": spearman(pairs),
    }
