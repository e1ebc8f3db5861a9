# SPDX-License-Identifier: GPL-2.0-or-later
"""Objectives of a workload, guards of others, and degradations."""

from enum import StrEnum
from typing import Literal

from daemon.api.models.base import Answer, ObjectiveText, Request, WorkloadPattern


class Direction(StrEnum):
    LOWER = "lower-is-better"
    HIGHER = "higher-is-better"


class ObjectiveView(Answer):
    """A declared objective.

    `text` is as written, `metric` its canonical name. `warning` says why it may not show what is
    wanted, if something speaks against it.
    """

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
    """Another workload that must not suffer for the objective: an id, or a glob over ids, and its
    guarded figure (`completions not worse than 20%`).
    """

    workload: WorkloadPattern
    text: ObjectiveText


class GuardView(Answer):
    """The state of one guard. `baseline` and `candidate` are medians of the windows, in `unit`;
    `ratio` is candidate / baseline, within `low` and `high`; None if there is nothing to compare.
    `said` has it in words. Hostile text: `workload`.

    held: within its tolerance. broken: worse, for certain. unclear: the windows do not show it.
    unseen: not measured yet, or no data.
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
