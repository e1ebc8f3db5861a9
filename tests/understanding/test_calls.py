# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls of a program's own functions: where they are in its file, and how they are counted."""

import asyncio
import json
import os
import random
import shutil
import subprocess
from collections import deque
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from bpf.probes import kinds
from bpf.probes.calls import BUCKETS, Calls, Counting, points, upper_us
from daemon.api.models import CallPoints, CallsRequest, ProbeKind, ProbeRequest
from daemon.understanding.calls import MOST, CallCounts, calls_view
from daemon.understanding.probe_answer import of_calls
from process import Fault, FaultType
from tests.waiting import in_time

SHOP = Path(__file__).parent / "programs/shop.c"
KNOWN = bytes.fromhex("0f1f402ac3")
COUNTED = {"count": 3, "total_ns": 9_000_000, "max_ns": 4_000_000, "lost": 0}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program with functions and markers, compiled."""
    path = tmp_path_factory.mktemp("shop") / "shop"
    subprocess.run(["clang-19", "-O1", "-o", path, SHOP], check=True)
    return path


# ---------------------------------------------------------------- where they are


def test_a_function_is_found_by_its_place_in_the_file(shop: Path) -> None:
    """The function's own bytes are at the offset."""
    found = points(str(shop), "known", "serve", markers=False)
    (place,) = found.enter
    assert shop.read_bytes()[place.offset :].startswith(KNOWN)
    assert found.returns
    assert not found.nested
    assert points(str(shop), "serve", "serve", markers=False).nested


def test_a_marker_is_found_with_its_semaphore(shop: Path) -> None:
    """The place has a nop, and the counter is the one that the kernel has to raise."""
    found = points(str(shop), "shop:request__start", "shop:request__done", markers=True)
    raw = shop.read_bytes()
    for place in (*found.enter, *found.leave):
        assert raw[place.offset] == 0x90
        assert raw[place.counter : place.counter + 2] == b"\0\0"
    assert not found.returns


def test_what_is_not_there_is_named_with_its_like(shop: Path, tmp_path: Path) -> None:
    """The fault has the nearest names; a stripped program, a script, a folder and a missing file
    are reported."""
    for enter, markers, near in (("serv", False, "serve"), ("shop:request__stat", True, "start")):
        with pytest.raises(Fault) as caught:
            points(str(shop), enter, enter, markers=markers)
        assert caught.value.type is FaultType.NOT_FOUND
        assert near in caught.value.why
    stripped = tmp_path / "stripped"
    shutil.copy(shop, stripped)
    subprocess.run(["strip", stripped], check=True)
    (tmp_path / "script").write_text("#!/bin/sh\n" + "#" * 100)
    os.mkfifo(tmp_path / "pipe")
    for name, type_ in (
        ("stripped", FaultType.NOT_FOUND),
        ("script", FaultType.BAD_REQUEST),
        ("", FaultType.BAD_REQUEST),
        ("pipe", FaultType.BAD_REQUEST),
        ("none", FaultType.NOT_FOUND),
    ):
        with pytest.raises(Fault) as caught:
            points(str(tmp_path / name), "serve", "serve", markers=False)
        assert caught.value.type is type_, name


def test_a_go_program_is_left_alone(shop: Path, tmp_path: Path) -> None:
    """A probe at a return would crash it."""
    go = tmp_path / "go"
    (tmp_path / "id").write_text("x")
    subprocess.run(
        ["objcopy", "--add-section", f".note.go.buildid={tmp_path / 'id'}", shop, go], check=True
    )
    with pytest.raises(Fault) as caught:
        points(str(go), "serve", "serve", markers=False)
    assert caught.value.type is FaultType.UNSUPPORTED


def test_a_damaged_program_is_a_fault(shop: Path, tmp_path: Path) -> None:
    """A program that is truncated, or has changed bytes anywhere, gives an answer or a fault and
    never a crash."""
    whole = shop.read_bytes()
    chance = random.Random(1)  # noqa: S311
    path = tmp_path / "damaged"
    for round_ in range(300):
        raw = bytearray(whole)
        for _ in range(chance.randrange(1, 60)):
            # Mostly the headers, and the tables at the end.
            begin = chance.choice([0, len(raw) - 4000, 0])
            raw[begin + chance.randrange(4000)] = chance.randrange(256)
        path.write_bytes(raw[: chance.randrange(64, len(raw))] if round_ % 3 == 0 else raw)
        for name, markers in (("serve", False), ("shop:request__done", True)):
            try:
                points(str(path), name, name, markers=markers)
            except Fault:
                continue


# ---------------------------------------------------------------- the child


def stand_in(folder: Path, script: str) -> Path:
    """An interpreter that runs this instead."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


ANSWER = json.dumps({"seconds": 2.0, "calls": {**COUNTED, "lengths": [[300, 3]]}})
SERVES = f"read wish; echo '{{\"started\": true}}'; while read line; do echo '{ANSWER}'; done"


def test_each_question_is_answered_with_one_line(shop: Path, tmp_path: Path) -> None:
    """The child gets numbers and the program's path, answers, and ends when its input ends."""
    where = points(str(shop), "serve", "serve", markers=False)
    script = f'read wish; echo "$wish" > {tmp_path}/wish; echo \'{{"started": true}}\'; '
    python = stand_in(tmp_path, script + f"while read line; do echo '{ANSWER}'; done")

    async def twice() -> list[tuple[float, Calls]]:
        probe = await Counting.start(where, 30, python=python)
        try:
            return [await probe.take(), await probe.take()]
        finally:
            await probe.end()

    first, second = asyncio.run(twice())
    assert first == second
    assert first[1].count == 3
    wish = json.loads((tmp_path / "wish").read_text())
    assert wish["enter"] == wish["leave"] == [[where.enter[0].offset, 0]]
    assert (wish["returns"], wish["nested"]) == (True, 1)


@pytest.mark.parametrize(
    "script",
    [
        "exit 3",
        "read wish; echo 'OSError: the kernel refuses the probe' >&2; exit 1",
        "read wish; echo nonsense",
        'read wish; echo \'{"started": true}\'; read line; echo \'{"calls": {"count": -1}}\'',
        "read wish; echo '{\"started\": true}'; read line; exit",
    ],
)
def test_a_child_that_fails_is_a_fault(shop: Path, tmp_path: Path, script: str) -> None:
    """This holds for any output or none, at its start and later."""
    where = points(str(shop), "serve", "serve", markers=False)

    async def look() -> None:
        probe = await Counting.start(where, 30, python=stand_in(tmp_path, script))
        try:
            await probe.take()
        finally:
            await probe.end()

    with pytest.raises(Fault) as caught:
        asyncio.run(look())
    assert caught.value.type is FaultType.CHILD_FAILED


# ---------------------------------------------------------------- in the daemon


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The children are stand-ins."""
    python = stand_in(tmp_path, SERVES)
    real = Counting.start

    async def start(where: object, keep_s: float) -> Counting:
        return await real(where, keep_s, python=python)  # type: ignore[arg-type]

    monkeypatch.setattr(Counting, "start", start)
    monkeypatch.setattr(kinds, "missing", lambda kind: [])


def request_for(shop: Path, enter: str = "serve", keep_s: float = 30.0) -> CallsRequest:
    where = CallPoints(binary=str(shop), enter=enter, exit="serve")
    return CallsRequest(points=where, keep_s=keep_s)


def busy() -> None:
    raise Fault(FaultType.BUSY, "a trial is under way")


@pytest.mark.usefixtures("counts")
def test_the_first_question_puts_it_in_place_and_others_are_answered(shop: Path) -> None:
    """No probe is attached during a trial. One that is attached keeps running through it, and ends
    with the daemon."""

    async def life() -> None:
        own = CallCounts()
        with pytest.raises(Fault):
            await own.take(request_for(shop), busy)
        assert (await own.take(request_for(shop), lambda: None)).seconds == 0
        view = await own.take(request_for(shop), busy)
        assert (view.count, view.seconds, view.total_us) == (3, 2.0, 9000.0)
        await own.close()
        with pytest.raises(Fault):
            await own.take(request_for(shop), busy)

    asyncio.run(in_time(life(), 60))


@pytest.mark.usefixtures("counts")
def test_what_nobody_asks_for_is_taken_away(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes after the time that the last question gave it."""
    gone: deque[str] = deque()

    async def life() -> None:
        ended = asyncio.Event()
        real = Counting.end

        async def end(self: Counting) -> None:
            await real(self)
            gone.append("gone")
            ended.set()

        monkeypatch.setattr(Counting, "end", end)
        own = CallCounts()
        await own.take(request_for(shop).model_copy(update={"keep_s": 0.1}), lambda: None)
        await ended.wait()

    asyncio.run(in_time(life(), 60))
    assert gone == deque(["gone"])


@pytest.mark.usefixtures("counts")
def test_only_a_few_at_once(shop: Path) -> None:
    """One more is refused, and a question that failed leaves nothing behind."""

    async def life() -> Fault:
        own = CallCounts()
        names = ["serve", "main", "known", "_start", "_init"]
        with pytest.raises(Fault):
            await own.take(request_for(shop, "none"), lambda: None)
        for name in names[:MOST]:
            await own.take(request_for(shop, name), lambda: None)
        with pytest.raises(Fault) as caught:
            await own.take(request_for(shop, names[MOST]), lambda: None)
        await own.close()
        return caught.value

    assert asyncio.run(in_time(life(), 60)).type is FaultType.BUSY


# ---------------------------------------------------------------- what is told


def test_buckets_are_at_most_six_percent_wide() -> None:
    """Edges rise, and from 16 ns on each is at most a sixteenth above the previous one."""
    edges = [upper_us(at) for at in range(BUCKETS)]
    assert edges == sorted(set(edges))
    assert all(after / before <= 1.0626 for before, after in pairwise(edges[16:]))
    assert upper_us(15) == 0.016


def test_calls_are_told_in_microseconds() -> None:
    """They are buckets, and a sentence with their percentiles; lost calls are reported."""
    at = next(at for at in range(BUCKETS) if upper_us(at) > 3000)
    calls = Calls(**{**COUNTED, "lost": 1}, lengths=[(at, 3)])
    view = calls_view(2.0, calls)
    assert (view.max_us, view.buckets[0].count) == (4000.0, 3)
    assert "1 calls were lost" in view.notes[0]
    where = CallPoints(binary="/usr/bin/shop", enter="serve", exit="serve")
    answer = of_calls(ProbeRequest(kind=ProbeKind.UPROBE, points=where), 2.0, calls, 2.5)
    assert "2 calls a second, 3000.0 us in the mean" in answer.summary[0]
    assert answer.histograms[0].p99 == upper_us(at)
    # The number of calls was read before the lengths of some that were still in progress.
    fewer = calls.model_copy(update={"count": calls.count + 2})
    late = of_calls(ProbeRequest(kind=ProbeKind.UPROBE, points=where), 2.0, fewer, 2.5)
    assert late.histograms[0].p99 == upper_us(at)


@pytest.mark.parametrize(
    "given",
    [
        {"binary": "shop"},
        {"binary": "/a\0b"},
        {"enter": "a b"},
        {"enter": "shop:x"},
        {"markers": True},
        {"enter": "x" * 400},
    ],
)
def test_points_are_checked(given: dict[str, object]) -> None:
    """A point needs an absolute path and names as linkers have them; a marker needs its
    provider."""
    whole = {"binary": "/usr/bin/shop", "enter": "serve", "exit": "serve", **given}
    with pytest.raises(ValidationError):
        CallPoints.model_validate(whole)
