# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds a policy in the kernel, for the scripts that run inside the lab."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bpf.kernel import sysfs
from bpf.runner.lines import Exited
from bpf.runner.process import Runner
from process import Fault

# The place where tests/policy_lab/cookbook.py has put it.
FOLDER = Path("policies")
# Longer than any scene: a scheduler ends with its scene, or by an error.
LEASE_S = 90.0


@dataclass
class Held:
    """A running policy; `trouble` is filled when it no longer runs, or was not loaded."""

    runner: Runner
    # Field of a selector → its bit in `selected`; and whether `expected_runtime` exists.
    bits: dict[str, int]
    expects: bool
    trouble: list[str] = field(default_factory=list)

    async def expect(self, runtimes: dict[int, int]) -> None:
        """Say how long processes are expected to run, ns by process id."""
        for pid, nanoseconds in runtimes.items():
            await self._put("expected_runtime", pid, nanoseconds)

    async def select(self, field: str, pids: Iterable[int]) -> None:
        """Say that the one selector for `field` matches these processes."""
        for pid in pids:
            await self._put("selected", pid, 1 << self.bits[field])

    async def _put(self, name: str, pid: int, value: int) -> None:
        await self.runner.put(name, struct.pack("=I", pid), struct.pack("=Q", value))


def index() -> dict[str, dict[str, Any]]:
    """The policies in the guest, by their lines, in the cookbook's order."""
    listed = json.loads((FOLDER / "index.json").read_text("utf-8"))
    return {each["line"]: each for each in listed}


@contextlib.asynccontextmanager
async def held(policy: dict[str, Any], lease_s: float = LEASE_S) -> AsyncIterator[Held]:
    """Hold the policy for the length of the block, and note whether it still ran at the end.

    Raises:
        Fault: it cannot be loaded.
    """
    async with await Runner.start(FOLDER / f"{policy['name']}.bpf.o", lease_s=lease_s) as runner:
        held = Held(runner, policy["bits"], policy["expected_runtime"])
        watch = asyncio.create_task(_note_exit(runner, held.trouble))
        try:
            yield held
        except Fault as fault:
            held.trouble.append(fault.report())
        state = sysfs.read()
        if (state.state, state.ops) != ("enabled", runner.attached.ops):
            held.trouble.append(f"at the end the kernel says: {state.state} {state.ops}")
            # The runner may be about to say why.
            await asyncio.wait([watch], timeout=2)
        watch.cancel()


async def _note_exit(runner: Runner, trouble: list[str]) -> None:
    exits = (each async for each in runner.events() if isinstance(each, Exited))
    async for event in exits:
        trouble.append(f"{event.explain()}\n{event.dump}")  # noqa: PERF401 - as soon as it comes
