# SPDX-License-Identifier: GPL-2.0-or-later
"""Trace files: written files are read, and broken ones are reported with the place."""

import gzip
import random
from pathlib import Path

import pytest

from process import Fault, FaultType
from simulator.traces import read_trace
from simulator.traces.model import (
    How,
    RecordedTrace,
    Runs,
    Sleeps,
    TracedExit,
    TracedFork,
    TracedWake,
)
from simulator.traces.text import MAX_LINE_BYTES, read_text, write_text
from tests.traces.conftest import DATA, HEADER, Write, defined, ended

REAL = DATA / "phases.trace.gz"


def fault_of(path: Path) -> Fault:
    with pytest.raises(Fault) as caught:
        read_trace(path)
    return caught.value


def test_every_record_is_read(write: Write) -> None:
    """Times sum up from line to line, and each kind of record has its fields."""
    path = write(
        HEADER,
        *defined("a", "b", cpus="0-1"),
        "w 1000 0 300 200 i",
        "w 500 1 10 20 s 0 250",
        "f 5 2 1 7",
        "x 5 2 40",
        "r 0 0 9",
        "z 10 1 1 2",
        ended(2000, 6, lost=3, cut="bytes"),
    )
    trace = read_text(path)
    assert trace.events == (
        TracedWake(1000, 0, 300, 200, How.OUTSIDE),
        TracedWake(1500, 1, 10, 20, How.SYNC, 0, 250),
        TracedFork(1505, 2, 1, 7),
        TracedExit(1510, 2, 40),
        Runs(1510, 0, 9),
        Sleeps(1520, 1, 1, 2),
    )
    assert (trace.duration_ns, trace.lost, trace.cut) == (2000, 3, "bytes")
    assert trace.tasks[1].workload == "comm:b"
    assert trace.tasks[1].cpus == (0, 1)


def test_a_real_recording_is_the_same_after_writing(tmp_path: Path) -> None:
    """A real kernel's recording comes back unchanged, with the same bytes twice."""
    trace = read_text(REAL)
    again = tmp_path / "again.gz"
    write_text(trace, again)
    assert read_text(again) == trace
    first = again.read_bytes()
    write_text(trace, again)
    assert again.read_bytes() == first


def test_a_task_that_executes_another_program_has_its_last_name(write: Write) -> None:
    """A second line about a task replaces the first."""
    again = '{"task":0,"comm":"cc1","workload":0}'
    trace = read_text(write(HEADER, *defined("sh"), "w 1 0 1 1 i", again, ended(2)))
    assert trace.tasks[0].comm == "cc1"


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (["hello"], 2, "a record begins with"),
        (["w 1 0 1 1"], 2, "expected: w AFTER TASK RAN SLEPT"),
        (["w 1 0 1 1 t"], 2, "WAKER OFFSET"),
        (["w -1 0 1 1 i"], 2, "cannot be read"),
        (["w 1 0 1 9999999999999999999 i"], 2, "out of bounds"),
        (["x 1 200000 1"], 2, "no task 200000"),
        (['{"task":0,"comm":"a","workload":7}'], 2, "no workload 7"),
        (
            ['{"workload":0,"id":"comm:a"}', '{"task":0,"comm":"a","workload":0,"nice":99}'],
            3,
            "nice",
        ),
        (
            ['{"workload":0,"id":"comm:a"}', '{"task":0,"comm":"a","workload":0,"cpus":"9-1"}'],
            3,
            "range of CPUs",
        ),
        (['{"end_ns":-1,"records":0}'], 2, "end_ns"),
        (["{" * 3000], 2, "does not belong to a trace"),
        (["x" * (MAX_LINE_BYTES + 1)], 2, "too long"),
        ([ended(1), "x 1 0 1"], 3, "after its end"),
    ],
)
def test_a_broken_line_is_named(write: Write, lines: list[str], line: int, words: str) -> None:
    """The fault has the number of the line, whatever is wrong."""
    fault = fault_of(write(HEADER, *lines))
    assert fault.where.endswith(f"line {line}")
    assert words in str(fault)


@pytest.mark.parametrize(
    "header",
    [
        '{"schedpilot_trace":2,"machine":{"cpus":2}}',
        '{"schedpilot_trace":1,"machine":{"cpus":0}}',
        '{"schedpilot_trace":1}',
    ],
)
def test_another_version_or_a_broken_header_is_refused(write: Write, header: str) -> None:
    """The version is read before anything else."""
    fault = fault_of(write(header, ended(1)))
    assert fault.where.endswith("line 1")
    assert "version 1" in fault.what


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    """An unfinished recording, and one without its end, are faults."""
    whole = gzip.decompress(REAL.read_bytes())
    plain = tmp_path / "plain"
    plain.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert "cut off" in fault_of(plain).what
    packed = tmp_path / "packed.gz"
    packed.write_bytes(REAL.read_bytes()[:-2000])
    assert "after line" in fault_of(packed).where


def test_no_damage_is_more_than_a_fault(tmp_path: Path) -> None:
    """Bytes changed at random give a trace or a fault, and never a traceback."""
    whole = gzip.decompress(REAL.read_bytes())[:20_000]
    chance = random.Random(4)  # noqa: S311 - the same damage in every run
    path = tmp_path / "damaged"
    faults: set[FaultType] = set()
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            assert isinstance(read_trace(path), RecordedTrace)
        except Fault as fault:
            faults.add(fault.type)
    assert faults == {FaultType.BAD_REQUEST}


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """If a small file unpacks to one endless line, it is refused after the longest allowed line."""
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(HEADER.encode() + b"\n" + b"w" * (64 << 20)))
    assert fault_of(path).type is FaultType.TOO_LARGE


def test_what_is_no_workload_at_all_is_told(tmp_path: Path) -> None:
    """Any other file is refused, and the message says what is accepted."""
    path = tmp_path / "elf"
    path.write_bytes(b"\x7fELF\0\0")
    assert "not a known kind of workload" in fault_of(path).what
    assert fault_of(tmp_path / "nothing").type is FaultType.NOT_FOUND
    assert fault_of(tmp_path).type is FaultType.BAD_REQUEST
