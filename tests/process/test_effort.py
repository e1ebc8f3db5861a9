# SPDX-License-Identifier: GPL-2.0-or-later
"""Pieces of work, and the child processes that belong to them."""

import asyncio
import os
from pathlib import Path

from process import Priority, at_priority, run, within


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
