# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot record`: what the machine does for a while, as a file to simulate with."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rich.status import Status

from cli.exits import Exit
from cli.formats import ago, span
from cli.output import as_json, err, note, out, plain, say, table
from daemon.api.client import Client, control_client, observe_client
from daemon.api.models import RecordingRequest, RecordingState, RecordingView
from process import Fault, FaultType

# How often the daemon is asked how far it is, seconds.
LOOK_S = 0.5


def record(seconds: float, workload: str, output: Path | None, *, json: bool) -> Exit:
    """Record, wait for the end, and fetch the file. Ctrl-C ends the recording, and keeps it."""
    if output is not None and output.exists():
        raise _exists(output)
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
        _write(path, client.trace(view.id))
    if json:
        as_json({**view.model_dump(mode="json"), "file": str(path)})
        return Exit.OK
    say(
        f"{path}: {span(view.seconds)}, {view.records} records of {view.tasks} tasks, "
        f"{view.bytes / 1024:.0f} KiB"
    )
    if view.lost:
        note(f"{view.lost} events were lost: there was no room for them", "yellow")
    if view.left_out:
        note(f"{view.left_out} tasks were too many, and left out", "yellow")
    if view.cut:
        note(f"ended early: {view.cut}", "yellow")
    note(f"schedpilot simulate WHAT --trace {path}")
    return Exit.OK


def _exists(path: Path) -> Fault:
    return Fault(
        FaultType.BAD_REQUEST,
        "the file is there already",
        where=str(path),
        hint="name another one with --output",
    )


def _write(path: Path, data: bytes) -> None:
    """Write a new file that only its owner reads: it tells what processes did."""
    try:
        with path.open("xb") as file:
            path.chmod(0o600)
            file.write(data)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            "the file cannot be written",
            where=str(path),
            why=error.strerror or "",
            hint="the daemon keeps the recording: see `schedpilot record --list`",
        ) from None


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


def show_recordings(*, json: bool) -> Exit:
    """Those that the daemon keeps, newest first."""
    with observe_client() as client:
        found = client.recordings()
    if json:
        as_json(found)
        return Exit.OK
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
    return Exit.OK
