# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings: the program's output is read back, and a wrong line is named by its number."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bpf.signals.source import SignalsLine, percentile, read_recording
from process import Fault, FaultType

DATA = Path(__file__).parent.parent / "data" / "signals"
RECORDINGS = sorted(DATA.glob("*.jsonl"))


def _first_line() -> dict[str, Any]:
    with RECORDINGS[0].open() as file:
        line: dict[str, Any] = json.loads(file.readline())
    return line


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_real_recordings_are_consistent(path: Path) -> None:
    """Time moves on, and the workload with the most CPU time comes first. The program's percentiles
    equal those of its histograms, up to the width of their buckets (these have four in an
    octave)."""
    lines = list(read_recording(path))
    assert len(lines) > 10
    assert [line.t_ns for line in lines] == sorted({line.t_ns for line in lines})
    for line in lines:
        run_times = [each.run_us for each in line.workloads]
        assert run_times == sorted(run_times, reverse=True)
        for each in line.workloads:
            for histogram in (each.delay_us, each.slice_us):
                assert histogram.count == sum(count for _, count in histogram.hist)
                assert percentile(histogram, 0.5) == pytest.approx(histogram.p50, rel=0.25)
                assert percentile(histogram, 0.99) == pytest.approx(histogram.p99, rel=0.25)
            assert each.wakeups + each.involuntary == each.slice_us.count
            assert each.run_us == each.slice_us.sum


def test_an_older_line_gets_buckets_of_today() -> None:
    """A line from before the finer histograms reads as if its counts were spread evenly in its
    buckets."""
    line = _first_line()
    line["workloads"][0]["delay_us"]["hist"] = [[1.024, 5], [1.28, 8], [4.096, 3]]
    found = SignalsLine.model_validate_json(json.dumps(line)).workloads[0].delay_us.hist
    fine = [(1.088, 2), (1.152, 2), (1.216, 2), (1.28, 2)]
    assert found == ((1.024, 5), *fine, (3.84, 1), (3.968, 1), (4.096, 1))
    line["per_octave"] = 16
    assert SignalsLine.model_validate_json(json.dumps(line)).workloads[0].delay_us.hist == (
        (1.024, 5),
        (1.28, 8),
        (4.096, 3),
    )


def test_a_packed_recording_reads_the_same(tmp_path: Path) -> None:
    """gzip is recognised by its content, not by the file's name."""
    packed = tmp_path / "recording"
    packed.write_bytes(gzip.compress(RECORDINGS[0].read_bytes()))
    assert list(read_recording(packed)) == list(read_recording(RECORDINGS[0]))


def test_a_later_programs_extra_fields_are_ignored() -> None:
    """A newer program may report more; an older reader ignores what it does not know."""
    line = _first_line()
    line["later"] = {"v": 2}
    line["workloads"][0]["later"] = 1
    assert SignalsLine.model_validate_json(json.dumps(line)).v == 1


def test_processes_in_a_recording_are_passed_over(tmp_path: Path) -> None:
    """A recording with lines about single processes has the same intervals as one without."""
    lines = RECORDINGS[0].read_bytes().splitlines()
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b"\n".join(each + b'\n{"exit":{"pid":1}}' for each in lines))
    assert list(read_recording(path)) == list(read_recording(RECORDINGS[0]))


def test_an_older_recording_has_no_ended_processes() -> None:
    """Later fields are zero if a recording is older than they are."""
    line = next(read_recording(RECORDINGS[0]))
    assert {each.exits for each in line.workloads} == {0}
    assert (line.lost_execs, line.lost_exits) == (0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("t_ns", -1),
        ("t_ns", 2**64),
        ("t_ns", "5"),
        ("interval_s", float("nan")),
        ("workloads", None),
        ("lost", 0.5),
    ],
)
def test_wrong_types_and_ranges_are_refused(field: str, value: object) -> None:
    """Nothing is converted or guessed."""
    line = _first_line()
    line[field] = value
    with pytest.raises(ValidationError):
        SignalsLine.model_validate_json(json.dumps(line))


def test_hostile_sizes_are_refused() -> None:
    """Far too many workloads, buckets or events, and endless names, are refused."""
    line = _first_line()
    for path, value in (
        (("workloads",), line["workloads"] * 5000),
        (("workloads", 0, "id"), "comm:" + "x" * 100_000),
        (("workloads", 0, "delay_us", "hist"), [[1.024, 1]] * 1000),
        (("machine", "sched_ext", "events"), {f"E{number}": 1 for number in range(1000)}),
    ):
        changed = json.loads(json.dumps(line))
        place = changed
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(ValidationError):
            SignalsLine.model_validate_json(json.dumps(changed))


@pytest.mark.parametrize(
    "bad",
    [b"not json", b'{"v":1}', b"\xff\xfe", b"[" * 100_000],
    ids=["text", "short", "bytes", "deep"],
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, bad: bytes) -> None:
    """The fault has the line's number, and does not quote it, because it may be hostile."""
    good = json.dumps(_first_line()).encode()
    path = tmp_path / "recording.jsonl"
    path.write_bytes(good + b"\n\n" + bad + b"\n" + good + b"\n")
    lines = read_recording(path)
    next(lines)
    with pytest.raises(Fault) as caught:
        next(lines)
    assert caught.value.type is FaultType.BAD_REQUEST
    assert caught.value.where == f"{path}:3"
    assert len(str(caught.value)) < 1000


def test_an_endless_line_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the limit is refused before all of it is read."""
    monkeypatch.setattr("bpf.signals.source.LINE_LIMIT", 1000)
    path = tmp_path / "recording.jsonl"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(Fault) as caught:
        list(read_recording(path))
    assert caught.value.type is FaultType.TOO_LARGE


def test_a_missing_and_a_broken_file_are_told_apart(tmp_path: Path) -> None:
    """A missing file, a file that is not the gzip it claims to be, and a truncated one give
    different faults."""
    with pytest.raises(Fault) as caught:
        list(read_recording(tmp_path / "absent"))
    assert caught.value.type is FaultType.NOT_FOUND
    packed = gzip.compress(RECORDINGS[0].read_bytes())
    for content in (b"\x1f\x8bnot gzip", packed[:-2000], packed[:500] + b"?" * 500):
        path = tmp_path / "broken.gz"
        path.write_bytes(content)
        with pytest.raises(Fault) as caught:
            list(read_recording(path))
        assert caught.value.type is FaultType.BAD_REQUEST
