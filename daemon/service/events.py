# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's events, in order: kept for a while, passed to the journal and to readers."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping

from daemon.api.models import Event, EventKind

# How many events are held for late readers; the journal keeps them all.
EVENTS_HELD = 1000
# The maximum length of one stored text, characters: names and messages may come from anybody.
_TEXT_LIMIT = 4096


class EventLog:
    """A bounded ring of events. Belongs to the event loop's thread.

    Args:
        sink: called with each event as it is appended (the journal).
        first_seq: the number of the first event; one more than the last one of an earlier run if
            that is known.
        held: how many events are held.
        clock: Unix seconds.
    """

    def __init__(
        self,
        sink: Callable[[Event], None],
        *,
        first_seq: int = 1,
        held: int = EVENTS_HELD,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sink = sink
        self._next = first_seq
        self._ring: deque[Event] = deque(maxlen=held)
        self._clock = clock
        self._closed = False
        # Replaced at each event: a waiting reader holds the one that will be set.
        self._changed = asyncio.Event()

    @property
    def last_seq(self) -> int:
        """The number of the newest event; before the first one, one less than its future number."""
        return self._next - 1

    def append(
        self,
        kind: EventKind,
        message: str,
        *,
        episode: str = "",
        trial: str = "",
        candidate: str = "",
        scheduler: str = "",
        workload: str = "",
        reason: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> Event:
        """Record one event, pass it to the sink and wake the readers."""
        event = Event(
            seq=self._next,
            at=self._clock(),
            kind=kind,
            message=message[:_TEXT_LIMIT],
            episode=episode,
            trial=trial,
            candidate=candidate,
            scheduler=scheduler,
            workload=workload[:_TEXT_LIMIT],
            reason=reason[:_TEXT_LIMIT],
            figures=dict(figures or {}),
        )
        self._next += 1
        self._ring.append(event)
        self._sink(event)
        self._wake()
        return event

    def recorded(self, after: int = 0) -> list[Event]:
        """The held events with a larger number than `after`, oldest first."""
        if not self._ring:
            return []
        skipped = max(0, after + 1 - self._ring[0].seq)
        return list(itertools.islice(self._ring, skipped, None))

    async def subscribe(self, after: int = 0) -> AsyncIterator[Event]:
        """Held events after number `after`, then new ones as they come, until `close`.

        A reader costs a number, not a queue: if it is slower than the ring turns, it misses events,
        which shows in their numbers. A number from the future is from before a restart, and such a
        reader gets everything that is held.
        """
        last = after if after <= self.last_seq else 0
        while True:
            changed = self._changed
            while coming := self.recorded(last)[:1]:
                last = coming[0].seq
                yield coming[0]
            if self._closed:
                return
            await changed.wait()

    def close(self) -> None:
        """End every subscription once it has received the held events."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
