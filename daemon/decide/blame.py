# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether the scheduler caused an ejection.

Since 7.0 the kernel ejects any running sched_ext scheduler if it finds a CPU stuck (an RCU stall, a
lockup). The cause may be a host that let the CPU wait, and it may have begun before the scheduler
ran. Then the scheduler is not blamed. A verdict of the watchdog, that a task was not run, is the
scheduler's fault, unless the task had waited since before.
"""

import re

# The daemon's words for a lease that nobody renewed.
LEASE = "its lease ran out"
_STALL = re.compile(
    r"RCU (?:CPU )?stall|soft ?lockup|hard ?lockup|self-detected stall", re.IGNORECASE
)
# `on CPUs ()`, `on CPUs `: the kernel found no stuck CPU.
_NO_CPU = re.compile(r"\bCPUs?\s*\(\s*\)|\bCPUs?\s*(?::\s*)?$", re.IGNORECASE | re.MULTILINE)
# `failed to run for 30.5s`, `stuck for 23s`
_LASTED = re.compile(r"\bfor (\d+(?:\.\d+)?)\s?s\b")
# The shortest time after which a kernel calls a CPU stuck: twice the watchdog's ten seconds, and 21
# seconds for RCU; if no time is given it was at least this long.
_STALL_LEAST_S = 20.0
# A task's wait and a scheduler's run time come from different clocks, and late.
_MARGIN_S = 5.0


def excuse(reason: str, ran_s: float, *, late_s: float = 0.0) -> str:
    """Why the scheduler is not blamed for an ejection with these words of the kernel; else empty.

    Args:
        reason: the kernel's message.
        ran_s: the longest that the scheduler may have run; infinite if unknown.
        late_s: how late the machine was without the scheduler, according to its signals.
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
