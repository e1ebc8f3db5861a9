# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of the machine's activity, for the simulator: one at a time, and a limited number
kept.

Each consists of two files in the state folder's `traces/`: the trace (docs/traces.md), and its
description. The oldest are removed when there are too many, or they are too large.
"""

import asyncio
import gzip
import json
import os
import secrets
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from bpf.recorder.process import Recorder, RecordingOptions, RecordingProgress
from daemon.api.models import RecordingRequest, RecordingState, RecordingView
from process import Fault, FaultType

MOST_KEPT = 8
MOST_KEPT_BYTES = 256 << 20
# Limit of workloads in a trace's description; a busy machine has hundreds.
MOST_WORKLOADS = 4096
_LONGEST_LINE = 16 * 1024
_SUFFIX = ".trace.gz"


class Recordings:
    """All recordings.

    Args:
        folder: `traces/` of the state folder.
        on_trouble: gets trouble with our own files.
        program: the recorder, if not the installed one.
    """

    def __init__(
        self,
        folder: Path,
        on_trouble: Callable[[str], None],
        *,
        program: Path | None = None,
    ) -> None:
        self._folder = folder
        self._on_trouble = on_trouble
        self._program = program
        self._task: asyncio.Task[None] | None = None
        self._recorder: Recorder | None = None
        self._running: RecordingView | None = None
        # The running one has reported something, or has ended.
        self._begun = asyncio.Event()
        self._known: dict[str, RecordingView] = {}

    def open(self) -> None:
        """Find those of an earlier daemon; incomplete ones are removed.

        Only once the state folder is ours: another daemon may be recording.
        """
        self._known = self._found()
        self._rotate()

    # ------------------------------------------------------------ asking

    def all(self) -> list[RecordingView]:
        """Newest first."""
        found = [*self._known.values(), *([self._running] if self._running else [])]
        return sorted(found, key=lambda each: -each.began)

    def get(self, id: str) -> RecordingView:
        """One of them. Raises Fault NOT_FOUND."""
        if self._running is not None and self._running.id == id:
            return self._running
        if id not in self._known:
            raise Fault(
                FaultType.NOT_FOUND,
                f"there is no recording {id}",
                hint="`schedpilot record --list` shows the stored ones",
            )
        return self._known[id]

    def trace(self, id: str) -> Path:
        """The file of a finished recording. Raises Fault NOT_FOUND or BUSY."""
        view = self.get(id)
        if view.state is RecordingState.RUNNING:
            raise Fault(
                FaultType.BUSY,
                f"the recording {id} still runs",
                hint="wait for its end, or stop it",
            )
        path = self._folder / f"{id}{_SUFFIX}"
        if view.state is not RecordingState.DONE or not path.is_file():
            raise Fault(FaultType.NOT_FOUND, f"the recording {id} has no trace", why=view.reason)
        return path

    def newest(self, workload: str) -> Path | None:
        """The newest trace in which this workload ran; those of the whole machine come first.

        A trace with others shows what they cost the workload; in a trace of itself alone it has all
        CPUs.
        """
        fitting = [
            each
            for each in self.all()
            if each.state is RecordingState.DONE
            and workload in each.workloads
            and (self._folder / f"{each.id}{_SUFFIX}").is_file()
        ]
        fitting.sort(key=lambda each: bool(each.workload))
        return self._folder / f"{fitting[0].id}{_SUFFIX}" if fitting else None

    # ------------------------------------------------------------ doing

    async def start(self, request: RecordingRequest) -> RecordingView:
        """Begin a recording, which continues in the background.

        Raises:
            Fault: BUSY while another runs, BAD_REQUEST, NOT_INSTALLED, STATE.
        """
        if self._running is not None:
            raise Fault(
                FaultType.BUSY,
                f"the recording {self._running.id} still runs",
                hint="wait for its end, or stop it",
            )
        view = RecordingView(
            id=f"r-{secrets.token_hex(4)}",
            state=RecordingState.RUNNING,
            workload=request.workload or "",
            began=time.time(),
            wanted_s=request.seconds,
        )
        output = self._folder / f"{view.id}{_SUFFIX}"
        wanted = RecordingOptions(output, request.seconds, request.most_bytes, view.workload)
        recorder = Recorder(wanted, program=self._program)
        self._make_folder()
        self._running, self._recorder, self._begun = view, recorder, asyncio.Event()
        self._task = asyncio.create_task(self._record(view, recorder, output))
        return view

    async def stop(self, id: str) -> RecordingView:
        """End a running recording early; its data is kept."""
        if self._running is not None and self._running.id == id:
            assert self._recorder is not None
            recorder = self._recorder
            await self._begun.wait()
            await recorder.stop()
        return await self.finished(id)

    async def finished(self, id: str) -> RecordingView:
        """Wait until the recording has ended by itself."""
        if self._running is not None and self._running.id == id and self._task is not None:
            await asyncio.wait([self._task])
        return self.get(id)

    async def close(self) -> None:
        """End the running recording, without its file."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _record(self, view: RecordingView, recorder: Recorder, output: Path) -> None:
        try:
            async with recorder:
                async for progress in recorder.progress():
                    view = self._running = _told(view, progress)
                    self._begun.set()
            view = await asyncio.to_thread(_finished, view, output)
        except (Fault, OSError) as trouble:
            view = view.model_copy(
                update={"state": RecordingState.FAILED, "reason": str(trouble)[:2000]}
            )
            _remove(output)
        except asyncio.CancelledError:
            _remove(output)
            raise
        finally:
            self._running = self._recorder = None
            self._begun.set()
        self._known[view.id] = view
        self._keep(view)
        self._rotate()

    # ------------------------------------------------------------ files

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                "the folder for recordings cannot be made",
                where=str(self._folder),
                why=error.strerror or "",
                hint="free space, or make the state folder writable",
            ) from None

    def _keep(self, view: RecordingView) -> None:
        if view.state is not RecordingState.DONE:
            return
        try:
            new = self._folder / f"{view.id}.new"
            new.write_text(view.model_dump_json(), "utf-8")
            new.replace(self._folder / f"{view.id}.json")
        except OSError as error:
            self._on_trouble(f"a recording cannot be kept: {error.strerror}")

    def _found(self) -> dict[str, RecordingView]:
        found: dict[str, RecordingView] = {}
        for path in sorted(self._folder.glob("r-*")):
            id = path.name.partition(".")[0]
            about = self._folder / f"{id}.json"
            trace = self._folder / f"{id}{_SUFFIX}"
            try:
                if not trace.is_file():
                    raise FileNotFoundError
                found[id] = RecordingView.model_validate_json(about.read_bytes())
            except (OSError, ValidationError):
                _remove(path)
        return found

    def _rotate(self) -> None:
        """Remove the oldest beyond the limits."""
        size = 0
        for place, each in enumerate(self.all()):
            size += each.bytes
            if place < MOST_KEPT and (size <= MOST_KEPT_BYTES or place == 0):
                continue
            del self._known[each.id]
            for path in (self._folder / f"{each.id}{_SUFFIX}", self._folder / f"{each.id}.json"):
                _remove(path)


def _told(view: RecordingView, progress: RecordingProgress) -> RecordingView:
    return view.model_copy(update=progress.model_dump())


def _finished(view: RecordingView, output: Path) -> RecordingView:
    return view.model_copy(
        update={
            "state": RecordingState.DONE,
            "workloads": workloads_of(output),
            "bytes": output.stat().st_size,
        }
    )


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def workloads_of(trace: Path) -> list[str]:
    """The ids of the workloads in a trace that our own recorder has just written.

    Raises:
        Fault: CHILD_FAILED if it is not a trace.
    """
    found: list[str] = []
    try:
        with gzip.open(trace) as file:
            while (line := file.readline(_LONGEST_LINE)) and len(found) < MOST_WORKLOADS:
                if line.startswith(b'{"workload"'):
                    found.append(str(json.loads(line)["id"]))
    except (OSError, EOFError, zlib.error, ValueError, KeyError) as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the recorder's file cannot be read",
            where=os.fspath(trace),
            why=str(error),
        ) from None
    return found
