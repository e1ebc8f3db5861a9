# SPDX-License-Identifier: GPL-2.0-only
"""The processes of a workload, found in the real /proc."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon import inventory
from daemon.api.display import displayable
from daemon.inventory import processes_of

COMM = Path("/proc/self/task")


@contextmanager
def thread_named(name: bytes) -> Iterator[None]:
    """A thread of this process that goes by `name`."""
    named, over = threading.Event(), threading.Event()

    def live() -> None:
        (COMM / str(threading.get_native_id()) / "comm").write_bytes(name)
        named.set()
        over.wait(60)

    thread = threading.Thread(target=live)
    thread.start()
    named.wait(10)
    try:
        yield
    finally:
        over.set()
        thread.join()


def own_cgroup() -> str:
    for line in Path("/proc/self/cgroup").read_text().split("\n"):
        if line.startswith("0::"):
            return line.removeprefix("0::")
    pytest.skip("this machine has no unified cgroup hierarchy")


def test_processes_of_a_cgroup_are_those_in_it() -> None:
    """A process finds itself under its own cgroup, and every one found is in it."""
    own = own_cgroup()
    found = processes_of(f"cgroup:{own}", limit=10_000)
    assert os.getpid() in {each.pid for each in found}
    for each in found:
        text = Path(f"/proc/{each.pid}/cgroup")
        assert not text.exists() or f"0::{own}\n" in text.read_text()
    assert processes_of("cgroup:/no/such/group") == []


def test_a_process_is_found_by_the_name_of_a_thread() -> None:
    """Signals are counted by thread; a thread's name leads to its process."""
    with thread_named(b"sched-test-thr"):
        found = processes_of("comm:sched-test-thr")
    assert [each.pid for each in found] == [os.getpid()]
    assert found[0].threads >= 2
    assert found[0].user
    assert processes_of("comm:sched-test-thr") == []


@pytest.mark.parametrize(
    ("name", "id"),
    [
        (b"two\nlines", "comm:two\nlines"),
        (b"\x1b[31mred", "comm:\x1b[31mred"),
        (b"bad\xff\xfe", "comm:bad\ufffd\ufffd"),
        ("\u202eabc".encode(), "comm:\u202eabc"),
    ],
)
def test_hostile_names_are_found_and_shown_escaped(name: bytes, id: str) -> None:
    """Names that break lines or are no UTF-8 match their id; what is shown is printable."""
    with thread_named(name):
        found = processes_of(id)
    assert [each.pid for each in found] == [os.getpid()]
    assert all((each.name + each.command).isprintable() for each in found)


def test_no_more_than_asked_for() -> None:
    """The limit holds."""
    assert len(processes_of(f"cgroup:{own_cgroup()}", limit=1)) == 1


def test_a_process_that_vanishes_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the listing and the look a process may end."""
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    monkeypatch.setattr(inventory, "_pids", lambda: [gone, os.getpid()])
    assert [each.pid for each in processes_of(f"cgroup:{own_cgroup()}")] == [os.getpid()]


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
    """Whatever could act on a terminal is written out; ordinary letters of any script stay."""
    assert displayable(text, 20) == shown
    assert displayable(text, 20).isprintable()
