# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates, and what the gates say of them."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from daemon.api.models.base import (
    POLICY_LIMIT,
    Answer,
    ObjectiveText,
    ParameterValue,
    RecordId,
    Request,
    SchedulerName,
    WorkloadId,
)
from daemon.api.models.objectives import MOST_GUARDS, GuardRequest, GuardView


class Gate(StrEnum):
    """In the order in which a candidate meets them."""

    COMPILE = "compile"
    STATIC = "static"
    BUILD = "build"
    SIMULATE = "simulate"
    VERIFY = "verify"
    CANARY = "canary"


class CandidateRequest(Request):
    """Exactly one of `library`, `source` or `policy` (the text of a policy, `use …` included).

    `name` is for `source`; the other two bring their own. What was recorded of `workload` (else
    of the episode's) is simulated, too, where there is such a recording. `canary` asks for that
    gate also where a virtual machine would take minutes. The stress set is run on machines of
    `cpus`, too. `objective` and `guards` are what a trial of it would be judged by.
    """

    library: SchedulerName | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict, max_length=64)
    source: Annotated[str, StringConstraints(max_length=1024 * 1024)] | None = None
    policy: Annotated[str, StringConstraints(max_length=POLICY_LIMIT)] | None = None
    name: SchedulerName | None = None
    episode: RecordId | None = None
    workload: WorkloadId | None = None
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)
    canary: bool = False
    cpus: list[Annotated[int, Field(ge=1, le=256)]] = Field(default_factory=list, max_length=8)


class GateMessage(Answer):
    severity: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    cause: str = ""
    fix: str = ""


class GateResult(Answer):
    """What one gate said.

    `skipped` says why the gate was not run; `passed` is then whether a candidate may go on
    without it. `reused`: the answer is an earlier one, to the same question.
    """

    gate: Gate
    passed: bool
    seconds: float
    skipped: str = ""
    reused: bool = False
    messages: list[GateMessage] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)


class CandidateView(Answer):
    """Immutable but for the gates it has met. `proven`: it may be loaded, for every gate passed or
    was skipped where that is allowed.

    `policy` is the canonical text of a policy, empty for every other kind. `warnings` say what
    speaks against trying it on the workload that it was asked for. `objective` and `guards` are in
    the answer to the request that gave some: by what a trial of it is judged, as that was read.
    """

    id: str
    name: str
    kind: Literal["bpf", "policy", "external"]
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    source_sha256: str = ""
    policy: str = ""
    gates: list[GateResult] = Field(default_factory=list)
    proven: bool = False
    quarantined: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    at: float = 0.0
