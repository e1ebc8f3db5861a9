# SPDX-License-Identifier: GPL-2.0-or-later
"""How long an advisor in an episode waits for a candidate, on the host itself.

    python -m benchmarks.emergency_native TYPES FOLDER TIMES

The daemon's gates run as in its service (nice -10 if we are root), for the lab's kernel. Only a
kernel with sched_ext can verify and load, so these two count as done at once. Four cases: a new
source outside of an episode; a new source in an episode, which is urgent and finds the static check
waiting for it; a scheduler that was proven ahead; and the same after a restart, from the cache.
Each case runs on an idle machine, and beside four endless loops for each CPU.
"""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from benchmarks.as_service import NICE
from benchmarks.emergency import LOOPS_A_CPU, SETTLE_S
from benchmarks.simulator_speed import lab_types
from bpf.runner.lines import Verified
from daemon.api.models import CandidateRequest, ParameterValue
from daemon.config import GatesTable
from daemon.gates.candidates import Candidates
from daemon.gates.chain import Gates
from daemon.gates.warm_check import WarmCheck
from daemon.service.events import EventLog
from process import Fault, FaultType, run, start_lines
from process.effort import settle_session
from scheduler_library.catalog import Catalog, load_catalog

SCHEDULER = "fair"
EPISODE = "e-0000000000"
TIMES = 5
LIMIT_S = 1200.0


class _LabGates(Gates):
    """The gates for another kernel than this one, as if it had sched_ext."""

    def __init__(self, btf: Path, folder: Path, warm: WarmCheck | None) -> None:
        root = folder / "sysfs"
        root.mkdir(exist_ok=True)
        (root / "state").write_text("disabled\n", "ascii")
        super().__init__(
            settings=GatesTable.model_validate({"canary": "off"}),
            cache=folder / "cache",
            sysfs_root=root,
            verifier=_accepted,
            warm=warm,
        )
        self._btf = btf

    @property
    def types(self) -> Path:
        return self._btf


async def _accepted(object: Path, *, parameters: Mapping[str, ParameterValue]) -> Verified:
    return Verified(event="verified", ops="pretended", load_ms=0)


async def measure() -> dict[str, object]:
    """Seconds from request to a proven candidate, by case and load."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-emergency-") as place:
        folder = Path(place)
        # The sandboxed compiler runs as another user.
        await asyncio.to_thread(folder.chmod, 0o755)
        types = await asyncio.to_thread(lab_types, folder / "cache")
        words: list[str | Path] = [sys.executable, "-m", "benchmarks.emergency_native"]
        words += [types, folder, str(TIMES)]
        done = await asyncio.to_thread(run, words, timeout=LIMIT_S)
    found: dict[str, object] = json.loads(done.text)
    return found


async def _measured(btf: Path, folder: Path, times: int) -> dict[str, object]:
    seconds: dict[str, list[float]] = {}
    catalog = load_catalog(folder)
    async with _warm() as warm:
        await asyncio.to_thread(_LabGates(btf, folder, None).prepare)
        for load in ("idle", "overloaded"):
            async with _loops(load == "overloaded"):
                for number in range(times):
                    ways = await _ways(btf, folder, catalog, warm, f"{load} {number}")
                    for name, (candidates, request) in ways.items():
                        began = time.monotonic()
                        made = await candidates.create(request)
                        took = time.monotonic() - began
                        if not made.proven:
                            raise Fault(FaultType.BUILD_FAILED, f"{name}: {made.proof}")
                        seconds.setdefault(f"{name}, {load}", []).append(round(took, 4))
    return {"scheduler": SCHEDULER, "root": os.geteuid() == 0, "seconds": seconds}


async def _ways(
    btf: Path, folder: Path, catalog: Catalog, warm: WarmCheck, mark: str
) -> dict[str, tuple[Candidates, CandidateRequest]]:
    """Which gates get which request; a source differs each time."""

    def candidates(warm: WarmCheck | None) -> Candidates:
        return Candidates(
            catalog=lambda: catalog,
            folder=folder / "candidates",
            gates=_LabGates(btf, folder, warm),
            publish=EventLog(lambda event: None).append,
            cache=folder / "cache",
        )

    source = catalog.get(SCHEDULER).source
    assert source is not None
    text = await asyncio.to_thread(source.read_text, "utf-8")

    def unseen(way: str, episode: str | None) -> CandidateRequest:
        return CandidateRequest(source=f"{text}/* {way} {mark} */\n", name="new", episode=episode)

    ahead = CandidateRequest(library=SCHEDULER, episode=EPISODE)
    prepared = candidates(warm)
    await prepared.create(ahead)
    return {
        "new source": (candidates(None), unseen("usual", None)),
        "new source, in an episode": (candidates(warm), unseen("urgent", EPISODE)),
        "proven ahead": (prepared, ahead),
        "proven ahead, after a restart": (candidates(warm), ahead),
    }


@contextlib.asynccontextmanager
async def _warm() -> AsyncIterator[WarmCheck]:
    warm = WarmCheck()
    task = asyncio.create_task(warm.run())
    try:
        await warm.ready.wait()
        yield warm
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def _loops(wanted: bool) -> AsyncIterator[None]:
    count = LOOPS_A_CPU * (os.cpu_count() or 1) if wanted else 0
    # As independent processes, not as our children.
    ordinary = ["nice", "-n", str(max(0, -os.getpriority(os.PRIO_PROCESS, 0)))]
    loops = [
        await start_lines([*ordinary, "sh", "-c", "while :; do :; done"]) for _ in range(count)
    ]
    try:
        await asyncio.sleep(SETTLE_S)
        yield
    finally:
        for each in loops:
            await each.end()


def main() -> None:
    types, folder, times = sys.argv[1:]
    if os.geteuid() == 0:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        settle_session()
    found = asyncio.run(_measured(Path(types), Path(folder), int(times)))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
