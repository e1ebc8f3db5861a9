# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot record`: record what the machine does for a while, as input for the simulator."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from rich.status import Status

from cli.exits import ExitCode
from cli.formats import ago, span
from cli.output import as_json, err, note, out, plain, say, table
from daemon.api.client import Client, control_client, observe_client
from daemon.api.models import RecordingRequest, RecordingState, RecordingView
from process import Fault, FaultType

# How often the daemon is asked for progress, seconds.
LOOK_S = 0.5


def record(seconds: float, workload: str, output: Path | None, *, json: bool) -> ExitCode:
    """Record, wait for the end, and fetch the file. Ctrl-C ends the recording and keeps it."""
    if output is not None:
        _reserve(output)
    try:
        return _recorded(seconds, workload, output, json=json)
    except BaseException:
        if output is not None:
            _give_up(output)
        raise


def _recorded(seconds: float, workload: str, output: Path | None, *, json: bool) -> ExitCode:
    with control_client() as client:
        view = client.record(RecordingRequest(seconds=seconds, workload=workload or None))
        try:
            view = _awaited(client, view)
        except KeyboardInterrupt:
            view = client.stop_recording(view.id)
        if view.state is not RecordingState.DONE:
            raise Fault(
                FaultType.CHILD_FAILED,
                "nothing was recorded",
                why=view.reason,
                hint="see `journalctl -t schedpilotd -n 20`",
            )
        path = output or Path(f"{view.id}.trace.gz")
        if output is None:
            _reserve(path)
        _write(path, client.trace(view.id))
    if json:
        as_json({**view.model_dump(mode="json"), "file": str(path)})
        return ExitCode.OK
    say(
        f"{path}: {span(view.seconds)}, {view.records} records of {view.tasks} tasks, "
        f"{view.bytes / 1024:.0f} KiB"
    )
    if view.lost:
        note(f"{view.lost} events were lost: there was no room for them", "yellow")
    if view.left_out:
        note(f"{view.left_out} tasks were left out: there were too many", "yellow")
    if view.cut:
        note(f"ended early: {view.cut}", "yellow")
    note(f"schedpilot simulate WHAT --trace {path}")
    return ExitCode.OK


def _exists(path: Path) -> Fault:
    return Fault(
        FaultType.BAD_REQUEST,
        "the file exists already",
        where=str(path),
        hint="name another one with --output",
    )


def _reserve(path: Path) -> None:
    """Make a new file that only its owner can read, since it shows what processes did. This comes
    before the recording, so that nobody waits for a file that cannot be written.

    Raises:
        Fault: BAD_REQUEST if it exists, STATE if it cannot be made.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise _unwritten(path, error, "name one in a folder that you may write") from None


def _give_up(path: Path) -> None:
    """The recording failed: remove the file, unless it has content."""
    with contextlib.suppress(OSError):
        if path.stat().st_size == 0:
            path.unlink()


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        _give_up(path)
        hint = "the daemon keeps the recording: see `schedpilot record --list`"
        raise _unwritten(path, error, hint) from None


def _unwritten(path: Path, error: OSError, hint: str) -> Fault:
    return Fault(
        FaultType.STATE,
        "the file cannot be written",
        where=str(path),
        why=error.strerror or "",
        hint=hint,
    )


@contextlib.contextmanager
def _shown() -> Iterator[Status | None]:
    if not err().is_terminal:
        yield None
        return
    with err().status(plain("recording")) as status:
        yield status


def _awaited(client: Client, view: RecordingView) -> RecordingView:
    with _shown() as status:
        while view.state is RecordingState.RUNNING:
            time.sleep(LOOK_S)
            view = client.recording(view.id)
            if status:
                status.update(
                    plain(
                        f"recording: {view.seconds:.0f} of {view.wanted_s:g} s, "
                        f"{view.records} records of {view.tasks} tasks"
                    )
                )
    return view


def show_recordings(*, json: bool) -> ExitCode:
    """The stored recordings, newest first."""
    with observe_client() as client:
        found = client.recordings()
    if json:
        as_json(found)
        return ExitCode.OK
    made = table("id", "", "began", "of", "length", "records", "KiB", right=("records", "KiB"))
    for each in found:
        made.add_row(
            plain(each.id),
            each.state.value,
            ago(each.began),
            plain(each.workload or "everything", 60),
            span(each.seconds),
            str(each.records),
            f"{each.bytes / 1024:.0f}",
        )
    out().print(made)
    return ExitCode.OK
