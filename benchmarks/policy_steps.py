# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes from a line of policy to a loaded scheduler, by step."""

import time

from benchmarks.service import service
from daemon.api.models import CandidateRequest, HoldRequest

# A new line each time, so that nothing comes from a cache.
LINE = 'comm ~ "service*" {{ latency; preempt; slice {us}us }}'
TIMES = 7


async def measure() -> dict[str, object]:
    """Seconds of each step, one for each repetition; `all` is from the line to `enabled`."""
    seconds: dict[str, list[float]] = {}
    async with service() as daemon:
        for number in range(TIMES + 1):
            line = LINE.format(us=500 + number)
            began = time.monotonic()
            view = await daemon.client.create_candidate(CandidateRequest(policy=line))
            proven = time.monotonic()
            await daemon.client.hold(HoldRequest(candidate=view.id))
            enabled = time.monotonic()
            await daemon.client.release("benchmark")
            if not number:
                # The very first one waits for the parts that all of them share.
                continue
            took = {each.gate.value: each.seconds for each in view.gates}
            took |= {"enable": enabled - proven, "all": enabled - began}
            for step, each in took.items():
                seconds.setdefault(step, []).append(round(each, 4))
    return {"line": LINE.format(us=500), "seconds": seconds}
