# SPDX-License-Identifier: GPL-2.0-or-later
"""Waiting for what has to happen: by the event, and by limits that a slow machine puts off."""

import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from process import Limit, within

T = TypeVar("T")


async def in_time(work: Awaitable[T], seconds: float) -> T:
    """What the work comes to.

    Raises:
        TimeoutError: it took too long, also for a machine as slow as this one.
    """
    async with within(seconds):
        return await work


def ended(child: "subprocess.Popen[Any]", seconds: float) -> int:
    """The exit status of a child that is to end.

    Raises:
        subprocess.TimeoutExpired: it did not.
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
    """What a child says to its end, as `communicate` gives it.

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
    """The first answer that says something; the last one where there is none in time."""
    limit = Limit(seconds)
    while not (answer := found()) and not limit.passed():
        time.sleep(pause_s)
    return answer
