# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person's goal in words means."""

from pydantic import Field

from daemon.api.models.base import Answer
from daemon.api.models.objectives import GuardView


class GoalReading(Answer):
    """One way to read a goal; `said` has it in words. `workload` where it is about another one."""

    objective: str
    said: str
    workload: str = ""


class GoalView(Answer):
    """What a goal in words means here, before anything is begun. With a `question` it does not say
    enough; `readings` are answers to it. `notes` are what a person should know of how it was read.
    Hostile text: ids and names that are quoted."""

    goal: str
    workload: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    question: str = ""
    readings: list[GoalReading] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
