# SPDX-License-Identifier: GPL-2.0-or-later
"""Trials, their windows and their verdicts."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from daemon.api.models.base import (
    Answer,
    ObjectiveText,
    ParameterValue,
    RecordId,
    Request,
    Text,
    WorkloadId,
)
from daemon.api.models.objectives import MOST_GUARDS, Direction, GuardRequest, GuardView


class Arm(StrEnum):
    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Decision(StrEnum):
    KEEP = "keep"
    ROLLBACK = "rollback"


class TrialState(StrEnum):
    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    KEPT = "kept"
    ROLLED_BACK = "rolled-back"
    DECLINED = "declined"
    FAILED = "failed"
    # It could not be measured: it says nothing for or against the candidate.
    UNMEASURED = "unmeasured"


class TrialRequest(Request):
    """Compare a proven candidate with the current scheduler.

    `objective` is objective text (`response p99; completions not worse than 5%`, `makespan`,
    `measurement NAME lower`); without it that of the episode, else the workload's declared one,
    else the default for its kind. `guards` are for other workloads; without any those of the
    episode hold. With `fed_by_client` the windows' values come by `POST /v1/trials/ID/windows`.
    """

    candidate: RecordId
    workload: WorkloadId | None = None
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)
    episode: RecordId | None = None
    window_s: Annotated[float, Field(ge=0.5, le=600)] | None = None
    max_windows: Annotated[int, Field(ge=4, le=64)] | None = None
    fed_by_client: bool = False
    keep: bool = True


class WindowValue(Request):
    """One finished window of a client-fed trial: the value, in the objective's unit."""

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WindowView(Answer):
    """One window. `disturbed`: it is excluded because the host or a suspend, and not a scheduler,
    spoiled it.

    `late_s`: how much longer than requested intervals of the signals lasted, if much. `value` is
    that of the objective's first term; `figures` holds each term's value by its title, and each
    guard's by `WORKLOAD: TITLE`. `stand_in` names the figure that was taken if one of the
    objective's is unknown. `longest_comm`: the thread that waited longest, as hostile text.
    `stay_us`: the mean time that the workload's tasks stayed on a CPU: the slice that they really
    got.
    """

    arm: Arm
    started: float
    ended: float
    value: float
    samples: int = 0
    guarded: dict[str, float] = Field(default_factory=dict)
    figures: dict[str, float] = Field(default_factory=dict)
    stand_in: str = ""
    longest_comm: str = ""
    longest_workload: str = ""
    stay_us: float = 0.0
    excluded: str = ""
    disturbed: bool = False
    late_s: float = 0.0


class ComparedView(Answer):
    """One figure under both arms. `baseline` and `candidate` are the minimum and maximum of their
    windows, in `unit`; `ratio` is candidate / baseline, within `low` and `high`. `said` has it in
    words, with ranges. `name` may quote hostile text.

    unclear: the difference may be noise. unseen: too little data to compare.
    """

    name: str
    unit: str = ""
    baseline: tuple[float, float] | None = None
    candidate: tuple[float, float] | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    state: Literal["better", "worse", "unclear", "unseen"] = "unseen"
    said: str = ""


class VerdictView(Answer):
    """`ratio` is candidate / baseline of the objective's metric; below 1 is better if lower is.

    `low` and `high` bound it with `confidence`; `gain` is positive if the candidate is better. With
    confidence 0 nothing was compared. `compared` has every term of the objective, then the guards
    of other workloads.
    """

    decision: Decision
    ratio: float
    low: float
    high: float
    confidence: float
    gain: float
    reason: str
    early: bool = False
    windows_baseline: int
    windows_candidate: int
    guarded: dict[str, str] = Field(default_factory=dict)
    compared: list[ComparedView] = Field(default_factory=list)


class TrialView(Answer):
    """`warnings` are in the answer to the request that started it: what speaks against trying this
    for this objective. `policy` is the text of a policy, empty for every other kind."""

    id: str
    state: TrialState
    candidate: str
    scheduler: str
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    workload: str = ""
    objective: str
    direction: Direction
    unit: str
    episode: str = ""
    at: float
    ended: float = 0.0
    approval: str = ""
    next_arm: Arm | None = None
    guards: list[GuardView] = Field(default_factory=list)
    windows: list[WindowView] = Field(default_factory=list)
    verdict: VerdictView | None = None
    reason: str = ""
    warnings: list[str] = Field(default_factory=list)


class ApprovalRequest(Request):
    approve: bool
    reason: Text = ""


class PendingApproval(Answer):
    """A trial that waits for a person; `id` is what `schedpilot approve` takes."""

    id: str
    trial: str
    candidate: str
    scheduler: str
    workload: str = ""
    objective: str = ""
    at: float
