# SPDX-License-Identifier: GPL-2.0-or-later
"""What recording costs: hackbench and `perf bench sched pipe` with a recording of everything, and
without. Both do little but wake each other, so this is the worst case.

Runs in the lab, as root. Each round runs both arms in alternating order, so that slow drifts of the
machine affect both equally.
"""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.signals_overhead.run import hackbench, pipe, summary
from bpf.recorder.process import Recorder, RecordingOptions, RecordingProgress

ROUNDS = 8
# Longer runs instead of more attachments: attaching costs seconds under emulation.
GROUPS, HACKBENCH_LOOPS, PIPE_LOOPS = 2, 120, 12000
ARMS = ("off", "on")
LONGEST_S = 120.0
MOST_BYTES = 1 << 28


@contextlib.asynccontextmanager
async def _recording(ended: list[RecordingProgress]) -> AsyncIterator[None]:
    """Records everything during the block."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = RecordingOptions(Path(folder) / "trace.gz", LONGEST_S, MOST_BYTES)
        async with Recorder(wanted) as recorder:
            told = recorder.progress()
            await anext(told)
            # We read it while the workload runs, as the daemon does.
            rest = asyncio.create_task(_last(told))
            try:
                yield
            finally:
                await recorder.stop()
                ended.append(await rest)


async def _last(told: AsyncIterator[RecordingProgress]) -> RecordingProgress:
    async for progress in told:
        last = progress
    return last


@contextlib.asynccontextmanager
async def _nothing(ended: list[RecordingProgress]) -> AsyncIterator[None]:
    yield


async def measure() -> dict[str, object]:
    """Both arms of each workload, and the records and losses of all recordings."""
    workloads: Mapping[str, Callable[[], float]] = {
        "hackbench": lambda: hackbench(GROUPS, HACKBENCH_LOOPS),
        "pipe": lambda: pipe(PIPE_LOOPS),
    }
    times: dict[str, dict[str, list[float]]] = {
        name: {arm: [] for arm in ARMS} for name in workloads
    }
    ended: list[RecordingProgress] = []
    for number in range(-1, ROUNDS):
        for step in range(len(ARMS)):
            arm = ARMS[(number + step) % len(ARMS)]
            async with (_recording if arm == "on" else _nothing)(ended):
                for name, work in workloads.items():
                    took = await asyncio.to_thread(work)
                    if number >= 0:  # the first round only warms up
                        times[name][arm].append(took)
    records = sum(each.records for each in ended)
    seconds = sum(each.seconds for each in ended)
    return {
        "rounds": ROUNDS,
        "records": records,
        "lost": sum(each.lost for each in ended),
        "records_per_s": round(records / seconds) if seconds else 0,
        "bytes_per_record": round(sum(each.bytes for each in ended) / max(records, 1), 1),
        **{name: summary(seconds) for name, seconds in times.items()},
    }


def main() -> None:
    """Run it by itself and print its JSON."""
    import json

    result: dict[str, Any] = asyncio.run(measure())
    print(json.dumps(result))


if __name__ == "__main__":
    main()
