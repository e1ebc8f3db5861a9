# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns server-sent events back into `Event`s, as bytes come in."""

from pydantic import ValidationError

from daemon.api.models import Event
from process import Fault, FaultType

# The longest line of a stream that still counts as an event, bytes.
LINE_LIMIT_BYTES = 1024 * 1024


class EventDecoder:
    """Feed it the stream in pieces of any size.

    Lines are split at `\\n` and nowhere else: text libraries also split at U+2028 and its like,
    which JSON carries unescaped. An event of a kind that this version does not know is passed
    over, so that an older client follows a newer daemon.
    """

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes.

        Raises:
            Fault: TOO_LARGE.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > LINE_LIMIT_BYTES:
            raise Fault(
                FaultType.TOO_LARGE,
                "the stream of events has a line that does not end",
                why=f"more than {LINE_LIMIT_BYTES} bytes",
            )
        events = []
        for line in lines:
            if line.startswith(b"data: "):
                try:
                    events.append(Event.model_validate_json(line.removeprefix(b"data: ")))
                except ValidationError:
                    continue
        return events
