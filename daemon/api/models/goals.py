# SPDX-License-Identifier: GPL-2.0-or-later
"""The meaning of a person's goal in words."""

from pydantic import Field

from daemon.api.models.base import Answer
from daemon.api.models.objectives import GuardView


class GoalReading(Answer):
    """One way to understand a goal; `said` has it in words. `workload` if it is about
    another one.
    """

    objective: str
    said: str
    workload: str = ""


class GoalView(Answer):
    """The meaning of a goal in words here, before anything is started.

    With a `question` it is not clear enough; `readings` are answers to it. `notes` are what a
    person should know about the interpretation. Hostile text: quoted ids and names.
    """

    goal: str
    workload: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    question: str = ""
    readings: list[GoalReading] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
