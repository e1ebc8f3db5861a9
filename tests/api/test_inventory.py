# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of a workload, found in the real /proc."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bpf.common.workload_id import workload_of
from daemon.api.display import displayable
from daemon.understanding.inventory import processes_of
from process import Fault

COMM = Path("/proc/self/comm")


@pytest.fixture
def own_name() -> Iterator[None]:
    """This process has other names until the test is over."""
    before = COMM.read_bytes().removesuffix(b"\n")
    yield
    COMM.write_bytes(before)


def own_id() -> str:
    return str(workload_of(os.getpid()))


def test_a_workload_is_the_processes_that_count_for_it() -> None:
    """A process finds itself among its own workload's, and each one found belongs there."""
    found = processes_of(own_id(), limit=10_000)
    assert os.getpid() in {each.pid for each in found}
    for each in found:
        assert workload_of(each.pid) in (None, workload_of(os.getpid()))
    own = next(each for each in found if each.pid == os.getpid())
    assert own.threads >= 1
    assert own.user
    program = COMM.with_name("cmdline").read_bytes().split(b"\0")[0].decode()
    assert Path(program).name in own.command


@pytest.mark.parametrize("id", ["cgroup:/no/such/group", "comm:no such name", "other"])
def test_a_workload_without_processes_is_empty(id: str) -> None:
    """Nothing found is no error."""
    assert processes_of(id) == []


def test_an_id_of_another_form_is_a_fault() -> None:
    """A malformed id is a fault; a workload without processes is not."""
    with pytest.raises(Fault):
        processes_of("pid:1")


@pytest.mark.usefixtures("own_name")
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"two\nlines\n", "two\\nlines\\n"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"bad\xff\xfe", "bad\\xff\\xfe"),
        ("\u202eabc".encode(), "\\u202eabc"),
        (b") S 1 1 0 0", ") S 1 1 0 0"),
    ],
)
def test_hostile_names_are_found_and_shown_escaped(name: bytes, shown: str) -> None:
    """Names that break lines, are no UTF-8 or look like a stat line are found and printable."""
    COMM.write_bytes(name)
    found = {each.pid: each for each in processes_of(own_id(), limit=10_000)}
    assert found[os.getpid()].name == shown


def test_no_more_than_asked_for() -> None:
    """The inventory lists no more processes than its limit."""
    assert len(processes_of(own_id(), limit=1)) == 1


def test_a_process_that_vanishes_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that ends between the listing and the look is left out."""
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    monkeypatch.setattr(psutil, "pids", lambda: [gone, os.getpid()])
    assert [each.pid for each in processes_of(own_id())] == [os.getpid()]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 漢字 \\x2d", "plain ü 漢字 \\x2d"),
        ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\x1b[31m\x00\x7f\x9b", "\\x1b[31m\\x00\\x7f\\x9b"),
        ("\u202e\u200b\u2028\ufeff", "\\u202e\\u200b\\u2028\\ufeff"),
        (b"\xff".decode("utf-8", "surrogateescape"), "\\xff"),
        ("\U000e0001", "\\U000e0001"),
        ("x" * 30, "x" * 20 + "…"),
    ],
)
def test_hostile_text_is_made_fit_to_be_shown(text: str, shown: str) -> None:
    """Characters that could act on a terminal are escaped; ordinary letters of any script stay."""
    assert displayable(text, 20) == shown
    assert displayable(text, 20).isprintable()
