# SPDX-License-Identifier: GPL-2.0-or-later
"""Events as journal records; on a terminal as lines.

Under systemd, standard error is connected to the journal and JOURNAL_STREAM says so
(systemd.exec(5)); then each event is one record in the journal's native protocol
(https://systemd.io/JOURNAL_NATIVE_PROTOCOL), with fields to filter by:

    journalctl -t schedpilotd SCHEDPILOT_EVENT=rollback

Anywhere else, the same events are readable lines on standard error.
"""

import contextlib
import json
import logging
import os
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol, TextIO

from daemon.api.display import displayable
from daemon.api.models import Event, EventKind
from process.fault import VERBOSE_VARIABLE

IDENTIFIER = "schedpilotd"
JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
# The maximum size of one field, bytes: a whole record stays far below a datagram's limit.
_FIELD_LIMIT_BYTES = 16 * 1024
_SHOWN_LIMIT = 2000


class JournalPriority(IntEnum):
    """syslog(3)'s levels."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(frozen=True)
class JournalEntry:
    """How one kind of event is recorded. The id never changes; the catalog explains it."""

    message_id: str
    priority: JournalPriority


ENTRIES: Mapping[EventKind, JournalEntry] = {
    EventKind.STARTED: JournalEntry("6a30e5ec7c26467b8c4188888b7f3727", JournalPriority.NOTICE),
    EventKind.STOPPING: JournalEntry("398f14334ec349ab804aa4750c4aec8c", JournalPriority.NOTICE),
    EventKind.DEGRADATION: JournalEntry(
        "7d4a98b6707a4ef4bf09454ade5dcec5", JournalPriority.WARNING
    ),
    EventKind.RECOVERED: JournalEntry("e8d17c40c7ef4c65b48b22829a4c3975", JournalPriority.NOTICE),
    EventKind.EPISODE_OPENED: JournalEntry(
        "d7c99b2a43664017aa818c41c28117f8", JournalPriority.NOTICE
    ),
    EventKind.EPISODE_CLOSED: JournalEntry(
        "9cf122aba9934590ae32aac8d1995586", JournalPriority.NOTICE
    ),
    EventKind.GATE_STARTED: JournalEntry("90f5531983e84ead8061282f3eefc579", JournalPriority.DEBUG),
    EventKind.GATE_PROGRESS: JournalEntry(
        "e1e9109000e1491fbc43ec759cb1fe6f", JournalPriority.DEBUG
    ),
    EventKind.GATE_PASSED: JournalEntry("efb7e15addba4d04acfa1ed75a1f0966", JournalPriority.INFO),
    EventKind.GATE_SKIPPED: JournalEntry("29ec684ea63544b5aab39e01f71b6aac", JournalPriority.INFO),
    EventKind.GATE_FAILED: JournalEntry(
        "3308685a8ed748768b5dd53f7b836297", JournalPriority.WARNING
    ),
    EventKind.APPROVAL_WANTED: JournalEntry(
        "cd7a157bef0f4ee6b47a8a871dba6977", JournalPriority.NOTICE
    ),
    EventKind.TRIAL_STARTED: JournalEntry(
        "5951509c4afd497488e03044760c5dcd", JournalPriority.NOTICE
    ),
    EventKind.WINDOW: JournalEntry("0a6b980b86244b988aac0746e4bc2340", JournalPriority.INFO),
    EventKind.VERDICT: JournalEntry("26c15b57804948d3a2ec6ce245d9f3df", JournalPriority.NOTICE),
    EventKind.LOADED: JournalEntry("4be61206a1a546e3bd0a7b7bac6b6727", JournalPriority.NOTICE),
    EventKind.UNLOADED: JournalEntry("cdef85b6dfa34bbba76118d4fe7952a3", JournalPriority.NOTICE),
    EventKind.KEPT: JournalEntry("1168703c108445778da730243004d9b1", JournalPriority.NOTICE),
    EventKind.PUT_BACK: JournalEntry("55d6fe82696d4c7831c7226fb9742483", JournalPriority.NOTICE),
    EventKind.NOT_PUT_BACK: JournalEntry(
        "5390339923a95c03d104a727a4ddbc0e", JournalPriority.WARNING
    ),
    EventKind.POWER: JournalEntry("3a315bf77eac6c18fec29ec96e2e2967", JournalPriority.NOTICE),
    EventKind.SAVED: JournalEntry("6ebd37d5356a48aa93724a6554f6da18", JournalPriority.NOTICE),
    EventKind.ROLLBACK: JournalEntry("b6abd02a01db4dd387cdf3d249a56f5a", JournalPriority.WARNING),
    EventKind.UNMEASURED: JournalEntry("3d8f5c1e7a9b4f26b0c47e92d15a6f83", JournalPriority.NOTICE),
    EventKind.EJECTED: JournalEntry("aaca1b9b5b6a497f9b7f8a80b9af1384", JournalPriority.ERROR),
    EventKind.QUARANTINED: JournalEntry(
        "a82785bb7a624c118d35c73b4e49b36c", JournalPriority.WARNING
    ),
    EventKind.FOREIGN: JournalEntry("d913a41273f244d0b730a3e36844c4c1", JournalPriority.WARNING),
    EventKind.ADVICE_ONLY: JournalEntry(
        "40bf2474eb8a4b1bbe8cbd4e0eba2588", JournalPriority.WARNING
    ),
    EventKind.ADVICE: JournalEntry("a28b5c02d62b45adb7262fd48a4a1d5e", JournalPriority.NOTICE),
    EventKind.LESSON: JournalEntry("1fbe20f1c5bd41538d56497fe0f627fe", JournalPriority.INFO),
    EventKind.PREPARED: JournalEntry("14219f2892d14226aff8d335f20ea0c8", JournalPriority.NOTICE),
    EventKind.PREPARATION_REFUSED: JournalEntry(
        "894664de65dd46f0a5dd5d606b5ae27a", JournalPriority.WARNING
    ),
    EventKind.STATE_TROUBLE: JournalEntry(
        "f4e82762e40e43d181ec21931f5e2e41", JournalPriority.ERROR
    ),
    EventKind.SIGNALS_LOST: JournalEntry("dfbe1849d69248ec881f06ead46daea0", JournalPriority.ERROR),
}


class Sink(Protocol):
    """Where events go. Neither method raises, and neither waits."""

    def event(self, event: Event) -> None: ...

    def note(self, priority: JournalPriority, message: str) -> None:
        """A message that is not an event: a defect with its traceback, a library's warning."""
        ...


def open_sink(
    environ: Mapping[str, str] | None = None,
    stream: TextIO | None = None,
    journal_socket: Path = JOURNAL_SOCKET,
) -> Sink:
    """The journal if standard error leads there, else lines on standard error."""
    environ = os.environ if environ is None else environ
    stream = sys.stderr if stream is None else stream
    if _leads_to_journal(environ.get("JOURNAL_STREAM", ""), stream) and journal_socket.exists():
        return JournalSink(journal_socket)
    return LineSink(stream)


def _leads_to_journal(journal_stream: str, stream: TextIO) -> bool:
    """Whether `stream` is the very file that JOURNAL_STREAM names, as device and inode.

    The variable alone proves nothing: children inherit it, and may be redirected.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{found.st_dev}:{found.st_ino}"


def fields(event: Event) -> list[tuple[str, str]]:
    """The record of an event: displayed text is escaped, filter fields are unchanged."""
    entry = ENTRIES[event.kind]
    record = [
        ("MESSAGE", displayable(event.message, _SHOWN_LIMIT)),
        ("MESSAGE_ID", entry.message_id),
        ("PRIORITY", str(entry.priority.value)),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("SCHEDPILOT_EVENT", event.kind.value),
        ("SCHEDPILOT_SEQ", str(event.seq)),
    ]
    record += [
        (f"SCHEDPILOT_{name.upper()}", value)
        for name in ("episode", "scheduler", "workload", "reason", "trial", "candidate")
        if (value := getattr(event, name))
    ]
    if event.figures:
        record.append(("SCHEDPILOT_FIGURES", json.dumps(event.figures, sort_keys=True)))
    return record


def encode(record: Sequence[tuple[str, str]]) -> bytes:
    """A record in the native protocol.

    `NAME=value` and a line end; a value with a line end in it is `NAME`, a line end, its
    length as 64 bits little-endian, itself, and a line end.
    """
    parts = bytearray()
    for name, value in record:
        raw = value.encode("utf-8", "surrogateescape")[:_FIELD_LIMIT_BYTES]
        parts += name.encode("ascii")
        if b"\n" in raw:
            parts += b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
        else:
            parts += b"=" + raw + b"\n"
    return bytes(parts)


class JournalSink:
    """Records, each one datagram.

    The daemon never waits for the journal. If it cannot take a record, that is lost here (the event
    log and the history still have it), and the next record says how many were lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._lost = 0

    def event(self, event: Event) -> None:
        self._send(fields(event))

    def note(self, priority: JournalPriority, message: str) -> None:
        lines = "\n".join(displayable(line, _SHOWN_LIMIT) for line in message.split("\n"))
        self._send(
            [
                ("MESSAGE", lines),
                ("PRIORITY", str(priority.value)),
                ("SYSLOG_IDENTIFIER", IDENTIFIER),
            ]
        )

    def _send(self, record: list[tuple[str, str]]) -> None:
        if self._lost:
            record.append(("SCHEDPILOT_RECORDS_LOST", str(self._lost)))
        try:
            self._socket.sendto(encode(record), self._path)
        except OSError:
            self._lost += 1
        else:
            self._lost = 0


class LineSink:
    """Lines for people: time, level, message, and the fields that have a value."""

    def __init__(self, stream: TextIO) -> None:
        # Imported here, because under systemd nobody reads lines and it costs memory.
        import structlog

        self._stream = stream
        terminal = stream.isatty()
        self._render = structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0)

    def event(self, event: Event) -> None:
        shown: dict[str, Any] = {
            name: displayable(value, _SHOWN_LIMIT)
            for name in ("episode", "trial", "candidate", "scheduler", "workload", "reason")
            if (value := getattr(event, name))
        }
        figures = {name: f"{value:g}" for name, value in sorted(event.figures.items())}
        self._write(
            event.at,
            ENTRIES[event.kind].priority,
            displayable(event.message, _SHOWN_LIMIT),
            {"kind": event.kind.value, **shown, **figures},
        )

    def note(self, priority: JournalPriority, message: str) -> None:
        now = datetime.now(UTC).timestamp()
        first, *rest = (displayable(line, _SHOWN_LIMIT) for line in message.split("\n"))
        self._write(now, priority, first, {}, rest)

    def _write(
        self,
        at: float,
        priority: JournalPriority,
        message: str,
        values: dict[str, Any],
        rest: Sequence[str] = (),
    ) -> None:
        time = datetime.fromtimestamp(at, UTC).astimezone().strftime("%H:%M:%S")
        level = "info" if priority is JournalPriority.NOTICE else priority.name.lower()
        line = self._render(
            None, level, {"timestamp": time, "level": level, "event": message, **values}
        )
        # A closed terminal must not end the daemon.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write("\n".join([line, *rest]) + "\n")
            self._stream.flush()


class LogHandler(logging.Handler):
    """Messages from libraries and our own last error handlers go to the same place as
    the events.
    """

    def __init__(self, sink: Sink, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self._sink = sink
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            priority = JournalPriority.ERROR
        elif record.levelno >= logging.WARNING:
            priority = JournalPriority.WARNING
        elif record.levelno >= logging.INFO:
            priority = JournalPriority.INFO
        else:
            priority = JournalPriority.DEBUG
        self._sink.note(priority, self.format(record))


def note_commands(sink: Sink) -> None:
    """Log the whole command of a failed child at level debug.

    Only in the journal, if debug is enabled there, or with `--verbose`.
    """
    if isinstance(sink, JournalSink) or os.environ.get(VERBOSE_VARIABLE):
        log = logging.getLogger("process.run")
        log.setLevel(logging.DEBUG)
        log.addHandler(LogHandler(sink, logging.DEBUG))
