# SPDX-License-Identifier: GPL-2.0-or-later
"""What watching costs: hackbench and `perf bench sched pipe` with the signals program on, compared
with off, and with the same histogram by BCC.

Runs in the lab, as root: `python -m benchmarks.signals_overhead.run`. Each round runs every arm
once, in a rotating order, so that slow drifts of the machine affect all arms equally. It prints one
JSON object: for each benchmark the medians in seconds, and the slowdown compared with `off`, as a
ratio of medians with a 95 % bootstrap interval.
"""

import argparse
import asyncio
import contextlib
import json
import random
import re
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from process import Fault, FaultType, LineChild, run, start_lines

ARMS = ("off", "on", "bcc")
HERE = Path(__file__).parent
SIGNALS = Path("/usr/lib/schedpilot/schedpilot-signals")
RESAMPLES = 4000
# How long a child may take until it is ready, seconds; BCC compiles for 22 s under emulation.
READY = 240.0


def _seconds(argv: Sequence[str], pattern: str) -> float:
    done = run(argv, timeout=600)
    match = re.search(pattern, done.text + done.error_text)
    if match is None:
        raise Fault(
            FaultType.CHILD_FAILED,
            f"`{argv[0]}` did not print its time",
            details=tuple(done.text.splitlines()),
        )
    return float(match[1])


def hackbench(groups: int, loops: int) -> float:
    """The seconds of one hackbench run: 40 tasks a group pass messages through sockets."""
    return _seconds(["hackbench", "-g", str(groups), "-l", str(loops)], r"Time: ([0-9.]+)")


def pipe(loops: int) -> float:
    """The seconds in which two processes pass a token to and fro `loops` times."""
    return _seconds(
        ["perf", "bench", "sched", "pipe", "-l", str(loops)], r"Total time: ([0-9.]+) \[sec\]"
    )


def _resident_kb(pid: int) -> int:
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(match[1]) if match else 0


class Watchers:
    """The two measuring programs, each attached only inside its own arm."""

    def __init__(self, signals: Path, bcc: LineChild | None) -> None:
        self._signals = signals
        self._bcc = bcc
        self._bcc_lines = bcc.lines() if bcc else None
        self.resident_kb: dict[str, int] = {}
        self.counted: dict[str, list[int]] = {"on": [], "bcc": []}

    async def _answer(self) -> list[str]:
        assert self._bcc_lines is not None
        return (await asyncio.wait_for(anext(self._bcc_lines), READY)).decode().split()

    async def ready(self) -> None:
        """Wait until BCC has compiled."""
        if self._bcc:
            await self._answer()

    @contextlib.asynccontextmanager
    async def arm(self, name: str) -> AsyncIterator[None]:
        """Measures with the program `name` during the block."""
        if name == "off":
            yield
        elif name == "on":
            child = await start_lines([self._signals])
            lines = child.lines()
            await child.send("flush")
            await asyncio.wait_for(anext(lines), READY)
            yield
            self.resident_kb["on"] = _resident_kb(child.pid)
            await child.end()
        else:
            assert self._bcc is not None
            await self._bcc.send("attach")
            await self._answer()
            yield
            self.resident_kb["bcc"] = _resident_kb(self._bcc.pid)
            await self._bcc.send("detach")
            self.counted["bcc"].append(int((await self._answer())[1]))


def _median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return statistics.median(arm for _, arm in pairs) / statistics.median(off for off, _ in pairs)


def _paired_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    return statistics.median(arm / off for off, arm in pairs)


def interval(
    pairs: Sequence[tuple[float, float]],
    statistic: Callable[[Sequence[tuple[float, float]]], float],
) -> list[float]:
    """The 95 % percentile bootstrap interval of a statistic over rounds.

    Whole rounds are drawn, so that a disturbance of a round affects both of its sides.
    """
    chance = random.Random(1)  # noqa: S311 - resampling, not secrets
    drawn = sorted(statistic(chance.choices(pairs, k=len(pairs))) for _ in range(RESAMPLES))
    return [round(drawn[int(share * RESAMPLES)], 4) for share in (0.025, 0.975)]


def summary(times: dict[str, list[float]]) -> dict[str, object]:
    """For each arm of one benchmark: the median, and the slowdown in two ways.

    `ratio` is of the medians. `paired` is the median of the rounds' own ratios, which is stable on
    a machine whose speed changes between rounds.
    """
    result: dict[str, object] = {}
    for arm, seconds in times.items():
        pairs = list(zip(times["off"], seconds, strict=True))
        result[arm] = {
            "median_s": round(statistics.median(seconds), 4),
            "ratio": round(_median_ratio(pairs), 4),
            "ratio_95": interval(pairs, _median_ratio),
            "paired": round(_paired_ratio(pairs), 4),
            "paired_95": interval(pairs, _paired_ratio),
            "seconds": [round(each, 4) for each in seconds],
        }
    return result


async def measure(options: argparse.Namespace) -> dict[str, object]:
    """All rounds of all arms."""
    arms: tuple[str, ...] = tuple(options.arms.split(","))
    bcc = None
    if "bcc" in arms:
        bcc = await start_lines(["/usr/bin/python3", HERE / "bcc_runqlat.py"])
    watchers = Watchers(options.signals, bcc)
    times: dict[str, dict[str, list[float]]] = {
        name: {arm: [] for arm in arms} for name in ("hackbench", "pipe")
    }
    try:
        await watchers.ready()
        for number in range(-1, options.rounds):
            for step in range(len(arms)):
                arm = arms[(number + step) % len(arms)]
                async with watchers.arm(arm):
                    for _ in range(options.repeat):
                        took = hackbench(options.groups, options.hackbench_loops)
                        passed = pipe(options.pipe_loops)
                        if number >= 0:  # the first round only warms up
                            times["hackbench"][arm].append(took)
                            times["pipe"][arm].append(passed)
    finally:
        if bcc:
            await bcc.end()
    return {
        "rounds": options.rounds,
        "resident_kb": watchers.resident_kb,
        "bcc_counted": watchers.counted["bcc"],
        **{name: summary(seconds) for name, seconds in times.items()},
    }


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=2, help="runs of each in an arm's turn")
    parser.add_argument("--signals", type=Path, default=SIGNALS)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--hackbench-loops", type=int, default=120)
    parser.add_argument("--pipe-loops", type=int, default=12000)
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
