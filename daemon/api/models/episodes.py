# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes, their transcripts, and their cost."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from daemon.api.models.base import Answer, ObjectiveText, RecordId, Request, Text, WorkloadId
from daemon.api.models.events import Event
from daemon.api.models.objectives import MOST_GUARDS, Degradation, GuardRequest, GuardView
from daemon.api.models.trials import TrialView
from daemon.api.models.workloads import ProfileView


class EpisodeState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class StepRole(StrEnum):
    """The advisor's activity; `harness` is the program around a model."""

    DECIDE = "decide"
    IMPLEMENT = "implement"
    LEARN = "learn"
    HARNESS = "harness"


class StepKind(StrEnum):
    TEXT = "text"
    TOOL_CALL = "tool-call"
    TOOL_RESULT = "tool-result"
    NOTE = "note"


class Cost(Answer):
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0


class CostReport(Request):
    calls: Annotated[int, Field(ge=0)] = 0
    input_tokens: Annotated[int, Field(ge=0)] = 0
    output_tokens: Annotated[int, Field(ge=0)] = 0
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class CloseRequest(Request):
    """An advisor is done with an episode, and reports the result."""

    summary: Text
    advisor: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    cost: CostReport = CostReport()


class AdviceRequest(Request):
    """An advisor's recommendation, recorded if it may not (or need not) act."""

    text: Text
    candidate: RecordId | None = None


# The goal if none is given in words: whatever suits the kind of workload.
ANY_GOAL = "serve this workload better"


class EpisodeRequest(Request):
    """A person wants a workload served better; `goal` says how, in words.

    `objective` and `guards` say it in measurable terms.
    """

    workload: WorkloadId
    goal: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)


class StepRequest(Request):
    """One line of an episode's transcript. `tokens` is the cost of a model's reply, in and out."""

    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    role: StepRole
    kind: StepKind
    tool: Annotated[str, StringConstraints(max_length=64)] = ""
    text: Annotated[str, StringConstraints(max_length=4000)] = ""
    tokens: Annotated[int, Field(ge=0, lt=2**31)] = 0


class StepView(Answer):
    """A recorded step; `number` counts from 1. Its text is hostile."""

    number: int
    at: float
    role: StepRole
    kind: StepKind
    tool: str = ""
    text: str = ""
    tokens: int = 0


class EpisodeView(Answer):
    """`goal` is the person's request, if a person opened it; `question` is the question for that
    person. `objective` and `guards` are those by which its trials are judged; `warnings` say what
    speaks against them.
    """

    id: str
    state: EpisodeState
    at: float
    ended: float = 0.0
    workload: str
    goal: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    question: str = ""
    warnings: list[str] = Field(default_factory=list)
    trigger: Degradation | None = None
    profile: ProfileView | None = None
    advisor: str = ""
    advice: list[str] = Field(default_factory=list)
    candidates: list[str] = Field(default_factory=list)
    trials: list[TrialView] = Field(default_factory=list)
    outcome: str = ""
    cost: Cost = Cost()
    events: list[Event] = Field(default_factory=list)
