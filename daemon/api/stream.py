# SPDX-License-Identifier: GPL-2.0-or-later
"""Events as server-sent events.

The stream pulls: while a client does not read, the server requests no further event, so that a slow
client costs one event of memory and not a queue. Events it missed meanwhile show as a gap in the
ids and as a comment.
"""

import asyncio
from collections.abc import AsyncIterator

from daemon.api.models import Event

# If the stream is silent, a comment is sent this often, seconds, so that a client can tell a quiet
# daemon from a dead one.
HEARTBEAT_S = 15.0


def frame(event: Event) -> bytes:
    """One event on the wire. JSON has no raw line ends, so the data is always one line."""
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {event.model_dump_json()}\n\n".encode()


async def frames(
    events: AsyncIterator[Event], stopping: asyncio.Event | None
) -> AsyncIterator[bytes]:
    """The body of `GET /v1/events`: ends when the events do, or with `stopping`."""

    async def following() -> Event:
        return await anext(events)

    # Sent at once, so that the client has its headers before the first event.
    yield b": schedpilot\n\n"
    stop = asyncio.ensure_future(stopping.wait()) if stopping else None
    coming: asyncio.Task[Event] | None = None
    previous = 0
    try:
        while True:
            coming = coming or asyncio.create_task(following())
            waiting: set[asyncio.Future[object]] = {coming, stop} if stop else {coming}  # type: ignore[arg-type]
            done, _ = await asyncio.wait(
                waiting, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED
            )
            if stop in done:
                return
            if coming not in done:
                yield b":\n\n"
                continue
            try:
                event = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            if previous and event.seq > previous + 1:
                yield f": {event.seq - previous - 1} events are no longer held\n\n".encode()
            previous = event.seq
            yield frame(event)
    finally:
        for task in (coming, stop):
            if task is not None:
                task.cancel()
