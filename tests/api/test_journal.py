# SPDX-License-Identifier: GPL-2.0-or-later
"""Events as the journal gets them, read back from a real datagram socket, and as lines."""

import io
import logging
import os
import re
import shutil
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import process
from daemon.api.models import Event, EventKind
from daemon.service.journal import (
    ENTRIES,
    JournalPriority,
    JournalSink,
    LineSink,
    LogHandler,
    encode,
    fields,
    open_sink,
)

CATALOG = Path(__file__).parents[2] / "systemd" / "schedpilot.catalog"

HOSTILE = (
    "comm:two\nlines",
    "comm:\x1b[2J\x1b[31mred",
    "comm:\u202egnp.exe",
    "comm:\u2066\u200f\u200b\u2028",
    "comm:MESSAGE=forged\nPRIORITY=0",
    "cgroup:/\x00\x7f\x9b",
)


def decode(raw: bytes) -> dict[str, bytes]:
    """The native protocol, read as systemd documents it."""
    found: dict[str, bytes] = {}
    while raw:
        line, _, rest = raw.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, end, raw = (
                rest[8 : 8 + length],
                rest[8 + length : 9 + length],
                rest[9 + length :],
            )
            assert end == b"\n"
        else:
            raw = rest
        assert name.decode() not in found
        found[name.decode()] = value
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "socket"))
        receiver.settimeout(10)
        yield receiver


def received(journal: socket.socket) -> dict[str, bytes]:
    return decode(journal.recv(1 << 20))


def event(message: str = "done", **more: object) -> Event:
    return Event.model_validate(
        {"seq": 7, "at": 1.0, "kind": EventKind.ROLLBACK, "message": message, **more}
    )


def test_a_rollback_is_one_record_with_its_fields(journal: socket.socket, tmp_path: Path) -> None:
    """An admin can filter by every field of the contract."""
    JournalSink(tmp_path / "socket").event(
        event(
            "fifo was rolled back",
            episode="e-0001",
            trial="t-0001",
            candidate="c-0001",
            scheduler="fifo",
            workload="cgroup:/a",
            reason="worse",
            figures={"ratio": 1.5},
        )
    )
    assert received(journal) == {
        "MESSAGE": b"fifo was rolled back",
        "MESSAGE_ID": ENTRIES[EventKind.ROLLBACK].message_id.encode(),
        "PRIORITY": b"4",
        "SYSLOG_IDENTIFIER": b"schedpilotd",
        "SCHEDPILOT_EVENT": b"rollback",
        "SCHEDPILOT_SEQ": b"7",
        "SCHEDPILOT_EPISODE": b"e-0001",
        "SCHEDPILOT_TRIAL": b"t-0001",
        "SCHEDPILOT_CANDIDATE": b"c-0001",
        "SCHEDPILOT_SCHEDULER": b"fifo",
        "SCHEDPILOT_WORKLOAD": b"cgroup:/a",
        "SCHEDPILOT_REASON": b"worse",
        "SCHEDPILOT_FIGURES": b'{"ratio": 1.5}',
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_forge_nothing(journal: socket.socket, tmp_path: Path, name: str) -> None:
    """A name cannot add a field or move a cursor; the field for filters has it unchanged."""
    JournalSink(tmp_path / "socket").event(event(f"{name} is served badly", workload=name))
    record = received(journal)
    assert record["SCHEDPILOT_WORKLOAD"] == name.encode()
    assert record["MESSAGE"].decode().isprintable()
    assert record["PRIORITY"] == b"4"


def test_bytes_that_are_no_text_arrive_as_they_were(journal: socket.socket, tmp_path: Path) -> None:
    """A name that is not UTF-8 is shown escaped and kept in its bytes."""
    name = b"comm:\xff\xfe\n".decode("utf-8", "surrogateescape")
    odd = event().model_copy(update={"message": f"{name}!", "workload": name})
    JournalSink(tmp_path / "socket").event(odd)
    record = received(journal)
    assert record["SCHEDPILOT_WORKLOAD"] == b"comm:\xff\xfe\n"
    assert record["MESSAGE"] == b"comm:\\xff\\xfe\\n!"


@given(
    st.lists(
        st.tuples(st.from_regex(r"[A-Z]{3,8}", fullmatch=True), st.text()), unique_by=lambda p: p[0]
    )
)
def test_any_record_can_be_read_back(record: list[tuple[str, str]]) -> None:
    """Every text arrives whole, whatever it contains."""
    safe = [(name, value.encode("utf-8", "replace").decode()) for name, value in record]
    assert decode(encode(safe)) == {name: value.encode() for name, value in safe}


def test_a_huge_value_is_cut(journal: socket.socket, tmp_path: Path) -> None:
    """A record always fits a datagram."""
    JournalSink(tmp_path / "socket").event(event("m" * 10**6, reason="ü\n" * 10**6))
    record = received(journal)
    assert record["MESSAGE"].decode().endswith("…")
    assert len(record["SCHEDPILOT_REASON"]) <= 16 * 1024


def test_records_that_were_lost_are_counted(tmp_path: Path) -> None:
    """A missing journal raises nothing, and the next record says how many are lost."""
    sink = JournalSink(tmp_path / "socket")
    sink.event(event())
    sink.event(event())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(tmp_path / "socket"))
        journal.settimeout(10)
        sink.event(event())
        assert received(journal)["SCHEDPILOT_RECORDS_LOST"] == b"2"
        sink.event(event())
        assert "SCHEDPILOT_RECORDS_LOST" not in received(journal)


def test_a_full_journal_is_not_waited_for(journal: socket.socket, tmp_path: Path) -> None:
    """A journal that does not read does not stop the daemon."""
    sink = JournalSink(tmp_path / "socket")
    for _ in range(5000):
        sink.event(event("x" * 1000))


def test_a_defect_is_one_record_with_its_traceback(journal: socket.socket, tmp_path: Path) -> None:
    """Log lines go to the same place, in one piece and escaped."""
    logger = logging.Logger("schedpilotd.test")
    logger.addHandler(LogHandler(JournalSink(tmp_path / "socket")))
    try:
        raise ValueError("odd \x1b[31mname")
    except ValueError:
        logger.exception("a defect")
    logger.info("not worth a record")
    record = received(journal)
    assert record["PRIORITY"] == b"3"
    assert record["MESSAGE"].startswith(b"schedpilotd.test: a defect\nTraceback")
    assert b"ValueError: odd \\x1b[31mname" in record["MESSAGE"]


def test_the_journal_is_used_only_where_standard_error_leads_there(tmp_path: Path) -> None:
    """JOURNAL_STREAM counts only if it names this stream: redirected children inherit it."""
    (tmp_path / "socket").touch()
    with (tmp_path / "stderr").open("w") as stream:
        found = os.fstat(stream.fileno())
        ours = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        other = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}
        assert isinstance(open_sink(ours, stream, tmp_path / "socket"), JournalSink)
        assert isinstance(open_sink(other, stream, tmp_path / "socket"), LineSink)
        assert isinstance(open_sink({}, stream, tmp_path / "socket"), LineSink)
        assert isinstance(open_sink(ours, stream, tmp_path / "absent"), LineSink)
    assert isinstance(open_sink(ours, io.StringIO(), tmp_path / "socket"), LineSink)


def test_lines_tell_the_same_to_people() -> None:
    """Without a journal the message, the kind, the reason and the figures are one line."""
    stream = io.StringIO()
    LineSink(stream).event(event("fifo was rolled back", reason="worse", figures={"ratio": 1.5}))
    line = stream.getvalue()
    assert line.count("\n") == 1
    for part in ("warning", "fifo was rolled back", "rollback", "reason=worse", "ratio=1.5"):
        assert part in line


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_in_their_line(name: str) -> None:
    """A name cannot end a line, colour it or turn it around."""
    stream = io.StringIO()
    LineSink(stream).event(event(f"{name} moved", workload=name, reason=name))
    assert stream.getvalue().removesuffix("\n").isprintable()


def test_a_terminal_that_went_away_does_not_end_the_daemon() -> None:
    """Writing to a closed stream raises nothing."""
    stream = io.StringIO()
    sink = LineSink(stream)
    stream.close()
    sink.event(event())
    sink.note(JournalPriority.ERROR, "x")


def test_under_systemd_no_renderer_is_imported() -> None:
    """Without a terminal, nothing for people to read is loaded."""
    program = "import sys, daemon.service.journal; sys.exit('structlog' in sys.modules)"
    process.run([sys.executable, "-c", program], timeout=60)


def test_every_kind_has_an_id_of_its_own_and_a_page_in_the_catalog() -> None:
    """`journalctl -x` explains every record, and what to do."""
    assert set(ENTRIES) == set(EventKind)
    ids = [entry.message_id for entry in ENTRIES.values()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[0-9a-f]{32}", each) for each in ids)
    pages = re.split(r"^-- ([0-9a-f]{32})$", CATALOG.read_text(), flags=re.MULTILINE)
    assert pages[1::2] == ids
    known = {name for kind in EventKind for name, _ in fields(_full(kind))}
    for kind, page in zip(EventKind, pages[2::2], strict=True):
        header, _, body = page.strip().partition("\n\n")
        assert re.search(r"^Subject: \S", header, flags=re.MULTILINE), kind
        assert len(body.split("\n\n")) >= 2, f"{kind}: what it means, and what to do"
        assert set(re.findall(r"@(\w+)@", page)) <= known, kind


def _full(kind: EventKind) -> Event:
    return event(
        kind=kind,
        episode="e",
        trial="t",
        candidate="c",
        scheduler="s",
        workload="comm:w",
        reason="r",
    )


@pytest.mark.skipif(not shutil.which("journalctl"), reason="needs journalctl (package systemd)")
def test_systemd_reads_the_catalog(tmp_path: Path) -> None:
    """The catalog compiles, and every id is listed."""
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    shutil.copy(CATALOG, folder)
    process.run(["journalctl", f"--root={tmp_path}", "--update-catalog"], timeout=60)
    listed = process.run(["journalctl", f"--root={tmp_path}", "--list-catalog"], timeout=60).text
    assert {line.split()[0] for line in listed.splitlines()} == {
        entry.message_id for entry in ENTRIES.values()
    }
