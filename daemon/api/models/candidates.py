# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates, and the gates' results for them."""

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
    """In the order in which a candidate passes them."""

    COMPILE = "compile"
    STATIC = "static"
    BUILD = "build"
    CONTROLS = "controls"
    SIMULATE = "simulate"
    VERIFY = "verify"
    CANARY = "canary"


class CandidateRequest(Request):
    """Exactly one of `library`, `source` or `policy` (the text of a policy, `use …` included).

    `name` is for `source`; the other two bring their own. A recording of `workload` (else of the
    episode's) is simulated, too, if there is one. `canary` requests that gate even if a virtual
    machine would take minutes. The stress set also runs on machines of `cpus`. `objective` and
    `guards` are those by which a trial of it would be judged.
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
    """The result of one gate.

    `skipped` says why the gate was not run; `passed` then says whether a candidate may continue
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
    """Immutable except for its gates' results. `proven`: it may be loaded, because every gate
    passed or was skipped where that is allowed.

    `policy` is the canonical text of a policy, empty for every other kind. `warnings` say what
    speaks against trying it on the requested workload. `objective` and `guards` are in the answer
    to a request that gave some: how a trial of it is judged, as that was understood.
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
