# SPDX-License-Identifier: GPL-2.0-or-later
"""The purpose of programs, by their names, arguments and company."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import Certainty, ProgramKind
from daemon.understanding.kinds import (
    JudgedProcess,
    by_company,
    by_libraries,
    judged,
    summed_up,
    with_company,
)
from tests.understanding.recorded import process

COMMANDS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("commands.toml").read_text()
)["command"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: " ".join(each["argv"])[:60] or "-")
def test_a_command_line_says_what_it_is(command: dict[str, Any]) -> None:
    """Each recorded command line gets its kind, with the certainty of its evidence and a reason."""
    given = {key: command[key] for key in command if key not in ("kind", "certainty")}
    found = judged(process(given.pop("argv"), **given))
    assert (found.kind, found.certainty) == (command["kind"], command["certainty"])
    assert bool(found.evidence) == (found.kind is not ProgramKind.UNKNOWN)


def test_the_fixture_set_is_wide() -> None:
    """The set has at least 25 command lines, and most kinds."""
    assert len(COMMANDS) >= 25
    assert len({each["kind"] for each in COMMANDS}) >= 18


def test_nothing_that_a_process_says_of_itself_is_sure() -> None:
    """Without the kernel's own record of the program, a name is likely at most."""
    for command in COMMANDS:
        found = judged(process(command["argv"], comm=command.get("comm", "")))
        assert found.certainty is not Certainty.SURE or command.get("kernel_thread")


def test_a_shell_below_a_build_is_part_of_it() -> None:
    """A process without a kind gets that of its starter, as a guess; below a login shell it does
    not."""
    build = judged(process(["make"], program="make", pid=10))
    shell = judged(process(["sh", "-c", "x"], program="dash", pid=11))
    together = with_company({10: build, 11: shell}, {10: 1, 11: 10})
    assert together[11].kind is ProgramKind.BUILD
    assert together[11].certainty is Certainty.GUESS
    login = judged(process(["-bash"], program="bash", pid=10, terminal=5))
    assert with_company({10: login, 11: shell}, {10: 1, 11: 10})[11].kind is ProgramKind.UNKNOWN


def test_libraries_and_company_are_guesses() -> None:
    """Loaded libraries, the unit's name, the parent and the behaviour only suggest a kind."""
    for found, kind in (
        (by_libraries({"libc.so.6", "libtorch_cpu.so"}), ProgramKind.ML_TRAINING),
        (by_company("postgresql@15-main.service", [], []), ProgramKind.DATABASE),
        (by_company("nginx.service", [], []), ProgramKind.WEB_SERVER),
        (by_company("", ["ninja", "bash"], []), ProgramKind.BUILD),
        (by_company("", [], ["interactive"]), ProgramKind.INTERACTIVE),
        (by_company("", [], ["batch", "cpu-bound"]), ProgramKind.BATCH),
    ):
        assert found.kind is kind
        assert found.certainty is Certainty.GUESS


def test_kinds_are_weighed_by_cpu_time() -> None:
    """The kind with the most CPU time comes first, and unknown processes last, however much they
    use."""
    build = JudgedProcess(ProgramKind.BUILD, Certainty.SURE, "the program is 'cc1'")
    shell = JudgedProcess(ProgramKind.INTERACTIVE, Certainty.LIKELY, "a shell")
    first, second, last = summed_up([(build, 1.5), (shell, 0.1), (JudgedProcess(), 8.4)])
    assert (first.kind, first.share) == (ProgramKind.BUILD, 0.15)
    assert second.kind is ProgramKind.INTERACTIVE
    assert last.kind is ProgramKind.UNKNOWN
    assert first.evidence == ["the program is 'cc1'"]
