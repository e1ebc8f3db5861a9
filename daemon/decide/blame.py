# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether an ejection is the scheduler's doing.

Since 7.0 the kernel throws out whichever sched_ext scheduler runs when a CPU is found stuck (an
RCU stall, a lockup). It may be a host that let the CPU wait, and it may have begun before the
scheduler ran. Then nothing is held against the scheduler. The watchdog's own verdict, a task that
was not run, is the scheduler's, unless the task had waited since before.
"""

import re

# In the words of the daemon, for a lease that nobody renewed.
LEASE = "its lease ran out"
_STALL = re.compile(
    r"RCU (?:CPU )?stall|soft ?lockup|hard ?lockup|self-detected stall", re.IGNORECASE
)
# `on CPUs ()`, `on CPUs `: the kernel found none that is stuck.
_NO_CPU = re.compile(r"\bCPUs?\s*\(\s*\)|\bCPUs?\s*(?::\s*)?$", re.IGNORECASE | re.MULTILINE)
# `failed to run for 30.5s`, `stuck for 23s`
_LASTED = re.compile(r"\bfor (\d+(?:\.\d+)?)\s?s\b")
# The shortest time after which a kernel calls a CPU stuck: twice the watchdog's ten seconds, and 21
# seconds of RCU; where no time is told it was at least so much.
_STALL_LEAST_S = 20.0
# What a task waited and what a scheduler ran are told by different clocks, and late.
_MARGIN_S = 5.0


def excuse(reason: str, ran_s: float, *, late_s: float = 0.0) -> str:
    """Why an ejection with these words of the kernel is not held against the scheduler; else empty.

    Args:
        reason: what the kernel said.
        ran_s: how long the scheduler may have run, at most; infinite where that is not known.
        late_s: by how much the machine was late without the scheduler, as its signals told.
    """
    if late_s and LEASE in reason:
        return f"the machine stood still for {late_s:.1f} s without it, too"
    lasted = _LASTED.search(reason)
    if _STALL.search(reason):
        if _NO_CPU.search(reason):
            return "the kernel names no CPU that was stuck"
        lasted_s = float(lasted[1]) if lasted else _STALL_LEAST_S
        if lasted_s > ran_s:
            return "what was stuck was so before the scheduler ran"
    elif lasted and "failed to run" in reason and float(lasted[1]) > ran_s + _MARGIN_S:
        return "the task had waited since before the scheduler ran"
    return ""
