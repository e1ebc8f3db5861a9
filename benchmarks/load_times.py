# SPDX-License-Identifier: GPL-2.0-or-later
"""How long changes take, requested from the real daemon through its API.

From the request to hold a proven candidate until the kernel says `enabled`; from the request
to release it or to roll it back until the kernel says `disabled`; and from new source to a
proven candidate.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine
from pathlib import Path

from benchmarks.service import service
from bpf.kernel import sysfs
from daemon.api.client import AsyncClient
from daemon.api.models import CandidateRequest, CandidateView, HoldRequest, RollbackRequest
from process import Fault, FaultType
from scheduler_library.catalog import load_catalog

SCHEDULER = "fair"
# How often each of the two ways out is taken.
TURNS = 7
BUILDS = 7
STATE = sysfs.ROOT / "state"
# How often the kernel's state is read, seconds: the bound of the error.
LOOK_S = 0.002
LIMIT_S = 60.0


async def measure() -> dict[str, object]:
    """All times in seconds, one for each repetition."""
    turns = ("enable", "enable_answer", "release", "rollback")
    gates = ("prove", "static", "build", "verify")
    seconds: dict[str, list[float]] = {name: [] for name in (*turns, *gates)}
    async with service() as daemon:
        client = daemon.client
        candidate = await client.create_candidate(CandidateRequest(library=SCHEDULER))
        source = _source()
        for number in range(BUILDS):
            began = time.monotonic()
            view = await client.create_candidate(
                CandidateRequest(source=f"{source}\n/* {number} */\n", name="bench")
            )
            seconds["prove"].append(time.monotonic() - began)
            for gate in _proven(view).gates:
                if not gate.skipped:
                    seconds[gate.gate.value].append(gate.seconds)
        for _ in range(TURNS):
            for way in ("release", "rollback"):
                hold = client.hold(HoldRequest(candidate=candidate.id))
                enabled, answered = await _until("enabled", hold)
                seconds["enable"].append(enabled)
                seconds["enable_answer"].append(answered)
                disabled, _ = await _until("disabled", _out(client, way))
                seconds[way].append(disabled)
    return {
        "scheduler": SCHEDULER,
        "seconds": {name: [round(each, 4) for each in found] for name, found in seconds.items()},
    }


def _source() -> str:
    entry = load_catalog(Path("/nonexistent")).get(SCHEDULER)
    assert entry.source is not None
    return entry.source.read_text("utf-8")


def _proven(view: CandidateView) -> CandidateView:
    if not view.proven:
        raise Fault(FaultType.BUILD_FAILED, f"{SCHEDULER} was not proven", details=(str(view),))
    return view


async def _out(client: AsyncClient, way: str) -> None:
    if way == "release":
        await client.release("benchmark")
    else:
        await client.rollback(RollbackRequest(reason="benchmark"))


async def _until(state: str, request: Coroutine[object, object, object]) -> tuple[float, float]:
    """Seconds from sending the request until the kernel is in `state`, and until the answer.

    A thread watches the kernel, because the answer comes only after the change.
    """
    seen: list[float] = []
    looking = threading.Event()
    began = time.monotonic()

    def look() -> None:
        looking.set()
        while time.monotonic() - began < LIMIT_S:
            if STATE.read_text("ascii").strip() == state:
                seen.append(time.monotonic())
                return
            time.sleep(LOOK_S)

    watcher = asyncio.create_task(asyncio.to_thread(look))
    await asyncio.to_thread(looking.wait)
    began = time.monotonic()
    await request
    answered = time.monotonic()
    await watcher
    if not seen:
        raise Fault(FaultType.TIMEOUT, f"the kernel was not {state} within {LIMIT_S:g} s")
    return seen[0] - began, answered - began
