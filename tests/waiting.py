# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for an event, with limits that are longer on a slow machine."""

import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from process import Limit, within

T = TypeVar("T")


async def in_time(work: Awaitable[T], seconds: float) -> T:
    """The result of the work.

    Raises:
        TimeoutError: it took too long, even for a machine as slow as this one.
    """
    async with within(seconds):
        return await work


def ended(child: "subprocess.Popen[Any]", seconds: float) -> int:
    """The exit status of a child that should end.

    Raises:
        subprocess.TimeoutExpired: it did not end.
    """
    limit = Limit(seconds)
    while True:
        left = limit.left()
        try:
            return child.wait(left)
        except subprocess.TimeoutExpired:
            if not left:
                raise


def said(child: "subprocess.Popen[Any]", seconds: float) -> tuple[Any, Any]:
    """All output of a child, in the form of `communicate`.

    Raises:
        subprocess.TimeoutExpired: it did not end.
    """
    limit = Limit(seconds)
    while True:
        left = limit.left()
        try:
            return child.communicate(timeout=left)
        except subprocess.TimeoutExpired:
            if not left:
                raise


def happened(event: threading.Event, seconds: float) -> bool:
    """Whether the event came in time."""
    limit = Limit(seconds)
    while left := limit.left():
        if event.wait(left):
            return True
    return event.is_set()


def until(found: Callable[[], T], seconds: float, *, pause_s: float = 0.1) -> T:
    """The first answer that is true; if none comes in time, the last one."""
    limit = Limit(seconds)
    while not (answer := found()) and not limit.passed():
        time.sleep(pause_s)
    return answer
