# SPDX-License-Identifier: GPL-2.0-or-later
"""The figure behind a verdict, and the verdict's worth for learning. Pure.

Trials were once judged by run-queue delay. That is the length of the queue, not the waiting time of
people who want something done: a scheduler that lets requests run to their end lengthens the queue
and shortens the response. Old verdicts by it are kept, with little weight.
"""

import re
from enum import StrEnum


class LeadingMetric(StrEnum):
    """What the leading term of an objective measures; empty if unknown.

    The words are those of `simulator.objective_text`, which this package may not import. Only the
    first word is read here: the text was checked when somebody gave it.
    """

    RESPONSE = "response"
    COMPLETIONS = "completions"
    TURNAROUND = "turnaround"
    MAKESPAN = "makespan"
    DELAY = "delay"
    CPU = "cpu"
    MEASUREMENT = "measurement"
    UNKNOWN = ""


# The weight of an outcome that was judged by run-queue delay, if another figure is wanted. Measured
# on schbench, delay and response disagreed on three of four schedulers; a fifth leaves a delay's
# verdict less weight than one by response has after two months.
DELAY_WEIGHT = 0.2
_ALIASES = {"latency": LeadingMetric.DELAY, "throughput": LeadingMetric.COMPLETIONS}
# The beginning of a lesson's evidence: `keep: latency p99 x0.82 (…)`.
_SAID = re.compile(r"(?:keep|rollback): ([a-z]+)\b")


def leading_metric_of(objective: str) -> LeadingMetric:
    """The leading figure in the text of an objective, or in its title."""
    first = objective.split(";")[0].split()
    word = first[0].casefold() if first else ""
    if word in _ALIASES:
        return _ALIASES[word]
    return LeadingMetric(word) if word in set(LeadingMetric) else LeadingMetric.UNKNOWN


def leading_metric_said(evidence: str) -> LeadingMetric:
    """The same from a verdict's text; unknown for any other text."""
    found = _SAID.match(evidence)
    return leading_metric_of(found[1]) if found else LeadingMetric.UNKNOWN


def worth(found_by: LeadingMetric, wanted: LeadingMetric = LeadingMetric.UNKNOWN) -> float:
    """The weight of an outcome by its figure, 0 to 1."""
    outdated = found_by is LeadingMetric.DELAY and wanted is not LeadingMetric.DELAY
    return DELAY_WEIGHT if outdated else 1.0
