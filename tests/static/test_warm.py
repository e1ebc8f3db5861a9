# SPDX-License-Identifier: GPL-2.0-or-later
"""The static check in a process that waits for requests: the same answers, and what happens when
something goes wrong."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bpf.static.check import check_source
from daemon.gates.warm_check import WarmCheck

ROOT = Path(__file__).parents[2]
GOOD = ROOT / "scheduler_library" / "schedulers" / "latency" / "latency.bpf.c"
BAD = ROOT / "tests" / "bpf" / "schedulers" / "broken.bpf.c"
LIMIT_S = 600.0


def with_warm(scene: Callable[[WarmCheck], Awaitable[None]]) -> None:
    """The process runs during the scene."""

    async def play() -> None:
        warm = WarmCheck()
        task = asyncio.create_task(warm.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                await warm.ready.wait()
                await scene(warm)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(play())


def test_it_says_what_a_check_of_its_own_says(tmp_path: Path) -> None:
    """A correct source, two wrong ones, a link, and the first one again get the same findings."""
    link = tmp_path / "link.bpf.c"
    link.symlink_to(GOOD)
    wrong = tmp_path / "wrong.bpf.c"
    wrong.write_text(GOOD.read_text() + "\n#include <stdio.h>\n")

    async def scene(warm: WarmCheck) -> None:
        for source in (GOOD, wrong, BAD, link, GOOD):
            assert await warm.check(source, 0) == check_source(source)

    with_warm(scene)


def test_a_source_that_kills_its_check_is_not_the_next_ones_trouble(tmp_path: Path) -> None:
    """Endless brackets cost at most one answer; the next source gets its own."""
    deep = tmp_path / "deep.bpf.c"
    deep.write_text("int x = " + "(" * 200_000 + "1" + ")" * 200_000 + ";\n")

    async def scene(warm: WarmCheck) -> None:
        found = await warm.check(deep, 0)
        assert found is None or found[0].severity == "error"
        await warm.ready.wait()
        assert await warm.check(GOOD, 0) == check_source(GOOD)

    with_warm(scene)


def test_one_that_died_is_started_again() -> None:
    """Until then the caller hears that no process is there."""

    async def scene(warm: WarmCheck) -> None:
        child = warm._child
        assert child is not None
        os.killpg(child.pid, signal.SIGKILL)
        assert await warm.check(GOOD, 0) is None
        await warm.ready.wait()
        assert await warm.check(GOOD, 0) == check_source(GOOD)

    with_warm(scene)


def test_it_can_reach_nothing(tmp_path: Path) -> None:
    """As in the check itself, a header outside of the headers' folders does not exist."""
    outside = tmp_path / "secret.h"
    outside.write_text("int secret;\n")
    source = tmp_path / "reads.bpf.c"
    source.write_text(f'#include "{outside}"\n')

    async def scene(warm: WarmCheck) -> None:
        found = await warm.check(source, 0)
        assert found
        assert found[0].severity == "error"

    with_warm(scene)


@pytest.mark.parametrize("nice", [0, 7])
def test_a_check_takes_the_place_that_is_asked_for(nice: int) -> None:
    """It answers at any nice value that is at least its own."""

    async def scene(warm: WarmCheck) -> None:
        assert await warm.check(GOOD, nice) == check_source(GOOD)

    with_warm(scene)
