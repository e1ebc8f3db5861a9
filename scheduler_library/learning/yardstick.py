# SPDX-License-Identifier: GPL-2.0-or-later
"""By what a verdict was found, and what that is worth to whoever learns from it. Pure.

Trials were once judged by run-queue delay. That says how long the queue is and not how long those
wait who want something done: a scheduler that lets requests run to their end lengthens the queue
and shortens the response. What was found by it is kept, and weighs little.
"""

import re
from enum import StrEnum


class Yardstick(StrEnum):
    """What the leading term of an objective measures; empty where that is not known."""

    RESPONSE = "response"
    COMPLETIONS = "completions"
    TURNAROUND = "turnaround"
    MAKESPAN = "makespan"
    DELAY = "delay"
    CPU = "cpu"
    MEASUREMENT = "measurement"
    UNKNOWN = ""


# An outcome that was judged by run-queue delay counts so much, where something else is wanted.
# Measured on schbench, delay and response disagreed on three of four schedulers; a fifth leaves a
# delay's verdict less than one by response has after two months.
DELAY_WEIGHT = 0.2
_ALIASES = {"latency": Yardstick.DELAY, "throughput": Yardstick.COMPLETIONS}
# How the evidence of a lesson begins: `keep: latency p99 x0.82 (…)`.
_SAID = re.compile(r"(?:keep|rollback): ([a-z]+)\b")


def yardstick_of(objective: str) -> Yardstick:
    """What the text of an objective, or its title, judges by first."""
    first = objective.split(";")[0].split()
    word = first[0].casefold() if first else ""
    if word in _ALIASES:
        return _ALIASES[word]
    return Yardstick(word) if word in set(Yardstick) else Yardstick.UNKNOWN


def yardstick_said(evidence: str) -> Yardstick:
    """The same of what a verdict said; of anything else it is not known."""
    found = _SAID.match(evidence)
    return yardstick_of(found[1]) if found else Yardstick.UNKNOWN


def worth(found_by: Yardstick, wanted: Yardstick = Yardstick.UNKNOWN) -> float:
    """What an outcome counts for by how it was judged, 0 to 1."""
    outdated = found_by is Yardstick.DELAY and wanted is not Yardstick.DELAY
    return DELAY_WEIGHT if outdated else 1.0
