# SPDX-License-Identifier: GPL-2.0-or-later
"""Children whose outputs are read as they arrive."""

import os
import time
from collections.abc import Callable

import pytest

from process import Fault, FaultType
from process.stream import stream


def after(seconds: float) -> Callable[[], float]:
    moment = time.monotonic() + seconds
    return lambda: moment


def test_every_descriptor_reaches_its_reader() -> None:
    """Bytes on an inherited descriptor and on standard error arrive complete, with the status."""
    ours, theirs = os.pipe()
    extra, errors = bytearray(), bytearray()
    script = f"head -c 300000 /dev/zero > /dev/fd/{theirs}; echo trouble >&2; exit 3"
    try:
        status = stream(
            ["sh", "-c", script],
            {ours: extra.extend},
            pass_fds=[theirs],
            deadline=after(60),
            on_error=errors.extend,
        )
    finally:
        os.close(ours)
    assert status == 3
    assert bytes(extra) == bytes(300000)
    assert bytes(errors) == b"trouble\n"


def test_a_reader_that_has_seen_enough_ends_the_child() -> None:
    """A reader ends a child that would never end, and loses nothing that the child wrote before."""
    seen = bytearray()

    def until_ready(data: bytes) -> bool:
        seen.extend(data)
        return b"ready" in seen

    status = stream(
        ["sh", "-c", "echo ready; exec sleep 1000"],
        {},
        pass_fds=[],
        deadline=after(60),
        on_error=until_ready,
    )
    assert status < 0
    assert bytes(seen) == b"ready\n"


def test_a_child_past_its_time_is_ended_with_a_fault() -> None:
    """The time limit ends the child and its grandchildren after their output was delivered."""
    seen = bytearray()
    with pytest.raises(Fault) as caught:
        stream(
            ["sh", "-c", "echo alive; sleep 1000 & wait"],
            {},
            pass_fds=[],
            deadline=after(0.5),
            on_error=seen.extend,
        )
    assert caught.value.type is FaultType.TIMEOUT
    assert bytes(seen) == b"alive\n"


def test_trouble_in_a_reader_ends_the_child() -> None:
    """An exception in our code leaves no child behind."""
    pid = bytearray()

    def read(data: bytes) -> None:
        pid.extend(data)
        raise RuntimeError("reader")

    with pytest.raises(RuntimeError, match="reader"):
        stream(
            ["sh", "-c", "echo $$; exec sleep 1000"],
            {},
            pass_fds=[],
            deadline=after(60),
            on_error=read,
        )
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_what_was_read_can_move_the_deadline() -> None:
    """The deadline is read again after each read, and the new one holds."""
    moment = time.monotonic() + 60

    def hurry(data: bytes) -> None:
        nonlocal moment
        moment = time.monotonic()

    with pytest.raises(Fault) as caught:
        stream(
            ["sh", "-c", "echo word; exec sleep 1000"],
            {},
            pass_fds=[],
            deadline=lambda: moment,
            on_error=hurry,
        )
    assert caught.value.type is FaultType.TIMEOUT
    assert time.monotonic() < moment + 30
