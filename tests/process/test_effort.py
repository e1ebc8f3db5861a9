# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of work at a priority: what their children may use, and how they end."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from process import Fault, FaultType, Priority, at_priority, run, start_lines, within

# Nice value and policy are two of its fields. Minimal work, because idle tasks may have to wait.
TELL = ("cat", "/proc/self/stat")


def said_in(text: str) -> tuple[int, int]:
    """Nice value and policy, from the line of a process (proc(5): fields 19 and 41)."""
    fields = text.rpartition(")")[2].split()
    return int(fields[16]), int(fields[38])


def told() -> tuple[int, int]:
    """Nice value and policy of a child that starts here."""
    return said_in(run(TELL, timeout=60).text)


def test_what_is_done_ahead_takes_only_what_nobody_wants() -> None:
    """Its children are idle tasks; outside of it nothing changes."""
    before = told()
    with at_priority(Priority.AHEAD):
        assert told() == (19, os.SCHED_IDLE)
    assert told() == before


def test_threads_and_line_children_belong_to_the_work() -> None:
    """A thread that starts in the work, and a child that prints lines, have the same priority."""

    async def both() -> tuple[tuple[int, int], tuple[int, int]]:
        with at_priority(Priority.AHEAD):
            by_thread = await asyncio.to_thread(told)
            child = await start_lines(TELL)
            lines = [line async for line in child.lines()]
            await child.end()
        return by_thread, said_in(lines[0].decode())

    by_thread, line = asyncio.run(both())
    assert by_thread == (19, os.SCHED_IDLE)
    assert line == by_thread


def test_nobody_rises_above_the_parent() -> None:
    """Urgent work of an ordinary process stays ordinary: a higher priority takes a privilege."""
    with at_priority(Priority.URGENT):
        assert told()[0] == os.getpriority(os.PRIO_PROCESS, 0)


def test_a_missing_program_is_told_in_any_place() -> None:
    """The message names the missing program, not the program that sets its priority."""
    with at_priority(Priority.AHEAD), pytest.raises(Fault) as caught:
        run(["schedpilot-no-such-program"], timeout=60)
    assert caught.value.type is FaultType.MISSING_TOOL
    assert "schedpilot-no-such-program" in caught.value.what


def test_given_up_work_ends_its_children_and_starts_no_more() -> None:
    """Children that would run for ever end, their callers hear why, and the next one does not
    start."""

    async def given_up() -> tuple[Fault, int]:
        with at_priority(Priority.AHEAD) as work:
            endless = asyncio.create_task(asyncio.to_thread(run, ["sleep", "1000"], timeout=1000))
            child = await start_lines(["sh", "-c", "echo there; exec sleep 1000"])
            async for _ in child.lines():
                break
            work.give_up()
            with pytest.raises(Fault) as caught:
                await endless
            with pytest.raises(Fault):
                run(["true"], timeout=60)
            return caught.value, await child.end()

    fault, status = asyncio.run(given_up())
    assert fault.type is FaultType.BUSY
    assert status == -signal.SIGKILL


def test_a_child_that_is_late_is_noted() -> None:
    """The caller can tell a slow machine from a refusal."""
    with at_priority(Priority.AHEAD) as work, pytest.raises(Fault) as caught:
        run(["sleep", "1000"], timeout=0.2)
    assert caught.value.type is FaultType.TIMEOUT
    assert work.late


def test_a_cancelled_piece_of_work_ends_its_children(tmp_path: Path) -> None:
    """The thread that waits for a child ends at once, and so the process can end, too."""
    started = tmp_path / "started"
    os.mkfifo(started)

    async def work() -> None:
        with at_priority(Priority.ORDINARY):
            words = ["sh", "-c", f"echo >{started}; exec sleep 600"]
            await asyncio.to_thread(run, words, timeout=600)

    async def scene() -> None:
        task = asyncio.create_task(work())
        await asyncio.to_thread(started.read_text)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with within(30):
            await asyncio.get_running_loop().shutdown_default_executor()

    asyncio.run(scene())
