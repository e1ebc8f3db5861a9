# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages about children that fail or hang have their names, never their command lines."""

import logging
import sys
from pathlib import Path

import pytest

from process import Fault, FaultType, Fixed, ResourceLimits, run
from process.fault import VERBOSE_VARIABLE
from process.run import called, environment
from process.sandbox import Sandbox, sandboxed

ROOT = Path(__file__).parents[2]
WORD = "a-word-of-the-command-line"


def failing(code: str, **options: object) -> Fault:
    with pytest.raises(Fault) as caught:
        run([sys.executable, "-c", code, WORD], **{"timeout": 60, **options})  # type: ignore[arg-type]
    return caught.value


def test_a_child_that_hangs_is_named_with_how_long_was_waited() -> None:
    """The message has program and seconds, and none of its arguments."""
    fault = failing("import time; time.sleep(100)", timeout=Fixed(0.3), name="clang")
    assert fault.type is FaultType.TIMEOUT
    assert fault.what.startswith("clang did not finish within 0.3")
    assert WORD not in fault.report()


def test_a_child_that_fails_is_named_with_its_status() -> None:
    """The program's own last words stay in the message."""
    fault = failing("import sys; print('no room', file=sys.stderr); sys.exit(3)")
    assert fault.what.startswith("python")
    assert fault.what.endswith("ended with status 3")
    assert fault.details == ("no room",)
    assert WORD not in fault.report()


def test_a_child_that_was_killed_says_by_which_signal() -> None:
    """It names the signal instead of a negative status."""
    fault = failing("import os; os.kill(os.getpid(), 9)", name="clang")
    assert fault.what == "clang was ended by SIGKILL"


def test_the_sandbox_is_never_part_of_a_message() -> None:
    """The sandbox around a child is ours; the message names the program that failed in it."""
    with pytest.raises(Fault) as caught:
        sandboxed(["sh", "-c", f"exit 4 # {WORD}"], Sandbox(), timeout=60, check=True)
    report = caught.value.report()
    assert "sh ended with status 4" in report
    for word in ("bwrap", "prlimit", "setpriv", "--ro-bind", WORD):
        assert word not in report


def test_the_whole_command_is_there_for_those_who_ask(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in the report with `--verbose`, and in the log at level debug."""
    with caplog.at_level(logging.DEBUG, "process.run"):
        fault = failing("import sys; sys.exit(3)")
    assert WORD in caplog.text
    monkeypatch.setenv(VERBOSE_VARIABLE, "1")
    assert WORD in fault.report()
    assert environment()[VERBOSE_VARIABLE] == "1"


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["/usr/bin/clang-19", "-c", "x.c"], "clang-19"),
        (["nice", "-n", "5", "setpriv", "--reuid=1", "--", "bwrap", "--x", "--", "make"], "make"),
        (["prlimit", "--cpu=1", "--", "python3", "-m", "lab", "run"], "lab"),
        (["python3", "-c", "code"], "python3"),
        (["sh"], "sh"),
    ],
)
def test_a_command_is_called_by_what_it_is_about(argv: list[str], name: str) -> None:
    """The name leaves out starters and paths."""
    assert called(argv) == name


def test_a_limited_child_that_limits_one_of_its_own_keeps_within_its_limit() -> None:
    """On a slow machine, where limits of CPU time are longer, it passes on what it has."""
    code = (
        "from process import ResourceLimits, run, pace\n"
        "pace._speed.append((__import__('time').monotonic(), 10.0))\n"
        "print(run(['sh', '-c', 'ulimit -t'], timeout=60, limits=ResourceLimits(cpu=20)).text)"
    )
    done = run([sys.executable, "-c", code], timeout=60, limits=ResourceLimits(cpu=30), cwd=ROOT)
    assert int(done.text) >= 30
