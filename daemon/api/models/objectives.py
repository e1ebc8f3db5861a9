# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wanted of a workload, what others may not lose by it, and what is worse than before."""

from enum import StrEnum
from typing import Literal

from daemon.api.models.base import Answer, ObjectiveText, Request, WorkloadPattern


class Direction(StrEnum):
    LOWER = "lower-is-better"
    HIGHER = "higher-is-better"


class ObjectiveView(Answer):
    """A declared objective. `text` is as written, `metric` its canonical name. `warning` says why
    it may not show what is wanted, where something speaks against it."""

    workload: str
    text: str
    metric: str
    direction: Direction
    limit: float | None = None
    unit: str = ""
    value: float | None = None
    broken: bool = False
    warning: str = ""


# Guards beside one objective.
MOST_GUARDS = 16


class GuardRequest(Request):
    """Another workload that may not pay for the objective: an id, or a glob over ids, and what of
    it is guarded (`completions not worse than 20%`)."""

    workload: WorkloadPattern
    text: ObjectiveText


class GuardView(Answer):
    """What became of one guard. `baseline` and `candidate` are medians of the windows, in `unit`;
    `ratio` is candidate / baseline, within `low` and `high`; None where there is nothing to
    compare. `said` has it in words. Hostile text: `workload`.

    held: not worse than it may be. broken: worse, for certain. unclear: the windows do not tell.
    unseen: not measured yet, or nothing was seen of it.
    """

    workload: str
    text: str
    unit: str = ""
    baseline: float | None = None
    candidate: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    state: Literal["held", "broken", "unclear", "unseen"] = "unseen"
    said: str = ""


class Degradation(Answer):
    """A workload served worse than its baseline, or an objective that is broken."""

    workload: str
    signal: str
    since: float
    baseline: float
    value: float
    ratio: float
    unit: str
    reason: str
    objective: str = ""
