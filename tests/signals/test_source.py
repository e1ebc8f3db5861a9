# SPDX-License-Identifier: GPL-2.0-only
"""The program as a child: its lines, its commands, and every way in which it can fail.

Stand-ins replace only the C program, which needs a kernel (see test_guest.py).
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from bpf.signals import SignalsLine, SignalsSource, read_recording, signals
from process import Fault, FaultType

RECORDING = Path(__file__).parent.parent / "data" / "signals" / "redis_quiet.jsonl"

T = TypeVar("T")
Program = Callable[[str], Path]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Makes a stand-in from a shell script; `$recording` is a real recording."""

    def make(script: str) -> Path:
        path = tmp_path / "stand-in"
        path.write_text(f"#!/bin/sh\nrecording={RECORDING}\n{script}\n")
        path.chmod(0o755)
        return path

    return make


def _wait(work: Coroutine[None, None, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 30))


async def _first(path: Path) -> SignalsLine:
    async with aclosing(signals(1, program=path)) as lines:
        return await anext(lines)


def test_lines_arrive_as_models(program: Program) -> None:
    """What the program prints comes out as it was recorded."""
    assert _wait(_first(program("cat $recording; cat"))) == next(read_recording(RECORDING))


def test_options_and_commands_reach_the_program(program: Program, tmp_path: Path) -> None:
    """Interval and bound as options; later intervals and flushes as lines."""
    answer = "head -n 1 $recording"
    path = program(
        f'echo "$@" > {tmp_path}/seen; {answer}\n'
        f'while read -r line; do echo "$line" >> {tmp_path}/seen; {answer}; done'
    )

    async def scenario() -> None:
        async with SignalsSource(2.5, max_workloads=7, program=path) as source:
            lines = source.lines()
            await anext(lines)
            await source.set_interval(0.5)
            await anext(lines)
            await source.flush()
            await anext(lines)
            assert source.interval_s == 0.5

    _wait(scenario())
    seen = (tmp_path / "seen").read_text().splitlines()
    assert seen == ["--interval 2.5 --max-workloads 7", "interval 0.5", "flush"]


def test_the_end_of_the_program_is_a_fault_with_its_words(program: Program) -> None:
    """The status, and what it said last, so that the operator sees the cause."""
    with pytest.raises(Fault) as caught:
        _wait(_first(program("echo no BTF here >&2; exit 3")))
    assert caught.value.type is FaultType.CHILD_FAILED
    assert "status 3" in str(caught.value)
    assert "no BTF here" in caught.value.why


def test_anything_but_a_line_of_signals_is_a_fault(program: Program) -> None:
    """A program of another version, or another program, is not believed."""
    with pytest.raises(Fault) as caught:
        _wait(_first(program("echo '{\"v\":9}'; cat")))
    assert caught.value.type is FaultType.CHILD_FAILED
    assert "not a line of signals" in str(caught.value)


def test_a_missing_program_is_named() -> None:
    """Not installed is said so, with the program's name."""
    with pytest.raises(Fault) as caught:
        _wait(_first(Path("/nowhere/schedpilot-signals")))
    assert caught.value.type is FaultType.MISSING_TOOL


@pytest.mark.parametrize("interval_s", [0, -1, 1e9, float("nan"), float("inf")])
def test_an_impossible_interval_is_refused(interval_s: float) -> None:
    """Out of range is a fault before anything starts."""
    with pytest.raises(Fault) as caught:
        SignalsSource(interval_s)
    assert caught.value.type is FaultType.BAD_PARAMETER
