# SPDX-License-Identifier: GPL-2.0-only
"""The emulator before all else that this host does, for as long as it measures.

An emulated CPU is a thread, and so are the timers of the machine: where the host has them wait, the
guest sees wakeups that are late by milliseconds, under every scheduler. So the CPUs' threads get
a real-time priority, and the thread that delivers timers one above them. The host's other tasks
keep the twentieth of each second that its kernel leaves them.
"""

import os
from collections.abc import Callable

import psutil

PROGRAM = "qemu-system"
CPUS_PRIORITY = 1
# Of the emulator's first thread, which has its timers and devices.
TIMERS_PRIORITY = 2


def prefer(say: Callable[[str], None]) -> None:
    """Of those emulators that this process has started; a host that refuses is told of."""
    for child in psutil.Process().children(recursive=True):
        try:
            if not child.name().startswith(PROGRAM):
                continue
            for thread in child.threads():
                timers = thread.id == child.pid
                priority = TIMERS_PRIORITY if timers else CPUS_PRIORITY
                os.sched_setscheduler(
                    thread.id, os.SCHED_FIFO if timers else os.SCHED_RR, os.sched_param(priority)
                )
        except (psutil.Error, ProcessLookupError):
            continue
        except PermissionError:
            say("no real-time priority for the emulator: what else runs here will show")
            return
