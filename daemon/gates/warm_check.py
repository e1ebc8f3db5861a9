# SPDX-License-Identifier: GPL-2.0-or-later
"""The static check, started before it is needed.

Starting Python and loading the parser is most of a check's time. One confined process
(`bpf.static.serve`) has done that and forks for each source. It ends with this one; if it dies it
is restarted, and a caller that finds it gone starts a separate check.
"""

import asyncio
import contextlib
import json
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from bpf.build.diagnostics import Diagnostic
from bpf.static.check import CHECK_LIMIT_S, contents, server, too_much
from process import Fault, LineChild, Priority, at_priority, start_lines, within

# Pauses before it is restarted, seconds: doubled each time, up to the last.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class WarmCheck:
    """Holds the process. `run` in the background, `check` from anywhere."""

    def __init__(self) -> None:
        self._child: LineChild | None = None
        self._lines: AsyncIterator[bytes] | None = None
        self._lock = asyncio.Lock()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until cancelled."""
        pause = FIRST_PAUSE_S
        while True:
            with tempfile.TemporaryDirectory(prefix="schedpilot-check-") as place:
                os.chmod(place, 0o755)  # noqa: PTH101, S103 - the confined process is another user
                with contextlib.suppress(Fault, OSError):
                    began = asyncio.get_running_loop().time()
                    await self._serve(Path(place))
                    if asyncio.get_running_loop().time() - began > LONGEST_PAUSE_S:
                        pause = FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _serve(self, place: Path) -> None:
        words = await asyncio.to_thread(server, place)
        with at_priority(Priority.URGENT):
            child = await start_lines(words)
        try:
            lines = child.lines()
            if "ready" in json.loads(await anext(lines, b"{}")):
                self._child, self._lines = child, lines
                self.ready.set()
                await child.wait()
        finally:
            self._child = self._lines = None
            self.ready.clear()
            await child.end()

    async def check(self, source: Path, nice: int) -> tuple[Diagnostic, ...] | None:
        """The problems of a source; None if the process cannot say.

        Args:
            nice: the nice value of the check, no less than the process's own.

        Raises:
            Fault: NOT_FOUND.
        """
        files = await asyncio.to_thread(contents, source)
        if isinstance(files, tuple):
            return files
        texts = {name: data.decode("latin-1") for name, data in files.items()}
        request = json.dumps({"name": source.name, "files": texts, "nice": nice})
        async with self._lock:
            child, lines = self._child, self._lines
            if child is None or lines is None:
                return None
            try:
                async with within(CHECK_LIMIT_S):
                    await child.send(request)
                    raw = await anext(lines, b"")
            except TimeoutError:
                await self._lose(child)
                return (too_much(source.name),)
            except BaseException:
                # An answer that nobody waits for any more would be taken for the next one's.
                await self._lose(child)
                raise
            if not raw:
                await self._lose(child)
                return None
        answer = json.loads(raw)
        if "found" in answer:
            return tuple(Diagnostic(**each) for each in answer["found"])
        return None

    async def _lose(self, child: LineChild) -> None:
        if self._child is child:
            self._child = self._lines = None
            self.ready.clear()
        await child.end()
