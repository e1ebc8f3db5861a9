# SPDX-License-Identifier: GPL-2.0-or-later
"""Progress of long work: the daemon's events as they come, on one line of the terminal."""

import contextlib
import threading
import time
from collections.abc import Iterator

from rich.status import Status

from cli.output import err, plain
from daemon.api.client import observe_client
from daemon.api.models import Event, EventKind
from process import Fault

# Events that are about the work the user waits for.
_TELLING = (
    EventKind.GATE_STARTED,
    EventKind.GATE_PROGRESS,
    EventKind.GATE_PASSED,
    EventKind.GATE_SKIPPED,
    EventKind.GATE_FAILED,
    EventKind.APPROVAL_WANTED,
    EventKind.TRIAL_STARTED,
    EventKind.WINDOW,
    EventKind.VERDICT,
    EventKind.LOADED,
    EventKind.UNLOADED,
    EventKind.ROLLBACK,
    EventKind.UNMEASURED,
    EventKind.EJECTED,
)


# Events that stay on the screen when the next one comes.
_LASTING = (EventKind.GATE_PASSED, EventKind.GATE_SKIPPED, EventKind.GATE_FAILED)


class ProgressLine:
    """A progress line on standard error; silent if that is not a terminal."""

    def __init__(self, status: Status | None) -> None:
        self._status = status
        self._stage = ""

    def stage(self, text: str) -> None:
        """The current stage; the daemon's events are shown behind it."""
        self._stage = text
        if self._status:
            self._status.update(plain(text))

    def heard(self, event: Event) -> None:
        if not self._status:
            return
        if event.kind in _LASTING:
            err().print(plain(event.message, style="dim"))
        self._status.update(plain(f"{self._stage} – {event.message}"))


@contextlib.contextmanager
def showing(text: str) -> Iterator[ProgressLine]:
    """Show the block's own messages while it runs."""
    if not err().is_terminal:
        yield ProgressLine(None)
        return
    with err().status(plain(text)) as status:
        progress = ProgressLine(status)
        progress.stage(text)
        yield progress


@contextlib.contextmanager
def following(text: str) -> Iterator[ProgressLine]:
    """Show the block's own messages and the daemon's events while it runs."""
    with showing(text) as progress:
        if err().is_terminal:
            # A daemon thread, because it blocks in a read that nobody needs after the block.
            words = (progress, time.time())
            threading.Thread(target=_listen, args=words, daemon=True).start()
        yield progress


def _listen(progress: ProgressLine, since: float) -> None:
    # Progress is optional; the work goes on without it.
    with contextlib.suppress(Fault), observe_client() as client:
        for event in client.events():
            if event.at >= since and event.kind in _TELLING:
                progress.heard(event)
