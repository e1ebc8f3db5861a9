# SPDX-License-Identifier: GPL-2.0-or-later
"""The program as a child: its lines, its commands, and every way in which it can fail.

Stand-ins replace only the C program, which needs a kernel (see test_guest.py).
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from bpf.signals.source import (
    Processes,
    ProcessExec,
    ProcessExit,
    SignalsLine,
    SignalsSource,
    read_recording,
    signals,
)
from process import Fault, FaultType
from tests.waiting import in_time

RECORDING = Path(__file__).parent.parent / "data" / "signals" / "redis_quiet.jsonl"

EXEC = (
    '{"exec":{"pid":7,"uid":0,"workload":"comm:gzip","program":"gzip",'
    '"arguments":["gzip","a"],"cut":false}}'
)
EXIT = (
    '{"exit":{"pid":7,"uid":0,"workload":"comm:gzip","program":"gzip","arguments":null,'
    '"cut":false,"cpu_us":5000.5,"wall_us":6000,"status":0,"signal":0}}'
)

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
    return asyncio.run(in_time(work, 30))


async def _first(path: Path) -> SignalsLine:
    async with aclosing(signals(1, program=path)) as lines:
        return await anext(lines)


def test_lines_arrive_as_models(program: Program) -> None:
    """The program's output arrives as it was recorded."""
    assert _wait(_first(program("cat $recording; cat"))) == next(read_recording(RECORDING))


def test_options_and_commands_reach_the_program(program: Program, tmp_path: Path) -> None:
    """Interval and bound are options; later intervals and flushes are lines."""
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


def test_processes_arrive_between_the_lines(program: Program, tmp_path: Path) -> None:
    """Once requested, reports about single processes go to their own listener, in order."""
    path = program(
        f'while read -r line; do echo "$line" >> {tmp_path}/seen\n'
        f"echo '{EXEC}'; echo '{EXIT}'; head -n 1 $recording; done"
    )
    told: list[ProcessExec | ProcessExit] = []

    async def scenario() -> None:
        source = SignalsSource(1, on_process=told.append, program=path)
        async with source:
            lines = source.lines()
            await source.set_processes(Processes.EXITS)
            await anext(lines)
            await source.set_processes(Processes.ALL)
            await anext(lines)

    _wait(scenario())
    assert (tmp_path / "seen").read_text().splitlines() == ["processes exits", "processes all"]
    assert [type(each) for each in told] == [ProcessExec, ProcessExit] * 2
    executed, ended = told[:2]
    assert isinstance(executed, ProcessExec)
    assert executed.arguments == ("gzip", "a")
    assert isinstance(ended, ProcessExit)
    assert ended.arguments is None
    assert (ended.cpu_us, ended.succeeded) == (5000.5, True)


def test_processes_that_nobody_listens_to_are_passed_over(program: Program) -> None:
    """A reader of intervals gets intervals, whatever else is reported."""
    path = program(f"echo '{EXIT}'; cat $recording; cat")
    assert _wait(_first(path)) == next(read_recording(RECORDING))


@pytest.mark.parametrize(
    "line",
    [
        EXEC.replace("7", "-7"),
        EXEC.replace('"arguments":["gzip","a"]', '"arguments":null'),
        EXIT.replace("5000.5", "-1"),
        EXIT.replace('"status":0', '"status":300'),
        '{"exec":7}',
        '{"exit":',
    ],
)
def test_a_process_that_cannot_be_is_a_fault(program: Program, line: str) -> None:
    """Nothing about processes is converted or guessed either."""

    async def scenario() -> None:
        path = program(f"echo '{line}'; cat")
        async with SignalsSource(1, on_process=lambda each: None, program=path) as source:
            await anext(source.lines())

    with pytest.raises(Fault) as caught:
        _wait(scenario())
    assert caught.value.type is FaultType.CHILD_FAILED


def test_the_end_of_the_program_is_a_fault_with_its_words(program: Program) -> None:
    """The fault has the status and the program's last message, so that the operator sees the
    cause."""
    with pytest.raises(Fault) as caught:
        _wait(_first(program("echo no BTF here >&2; exit 3")))
    assert caught.value.type is FaultType.CHILD_FAILED
    assert "status 3" in str(caught.value)
    assert "no BTF here" in caught.value.why


def test_anything_but_a_line_of_signals_is_a_fault(program: Program) -> None:
    """Output of another version, or of another program, is refused."""
    with pytest.raises(Fault) as caught:
        _wait(_first(program("echo '{\"v\":9}'; cat")))
    assert caught.value.type is FaultType.CHILD_FAILED
    assert "not a line of signals" in str(caught.value)


def test_a_missing_program_is_named() -> None:
    """The fault says that the program is not installed, with its name."""
    with pytest.raises(Fault) as caught:
        _wait(_first(Path("/nowhere/schedpilot-signals")))
    assert caught.value.type is FaultType.MISSING_TOOL


@pytest.mark.parametrize("interval_s", [0, -1, 1e9, float("nan"), float("inf")])
def test_an_impossible_interval_is_refused(interval_s: float) -> None:
    """An interval out of range is a fault before anything starts."""
    with pytest.raises(Fault) as caught:
        SignalsSource(interval_s)
    assert caught.value.type is FaultType.BAD_PARAMETER
