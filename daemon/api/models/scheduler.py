# SPDX-License-Identifier: GPL-2.0-or-later
"""The loaded scheduler, and changes by hand."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from daemon.api.models.base import Answer, ParameterValue, RecordId, Request, Text


class LoadedScheduler(Answer):
    """The scheduler that the daemon holds a lease on; `why` is trial, kept or operator.

    `policy` is the text of a policy, empty for every other kind.
    """

    name: str
    candidate: str
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    since: float
    why: Literal["trial", "kept", "operator"]
    lease_s: float


class KeptViewState(StrEnum):
    """What is done with a kept scheduler.

    `waiting`: it does not run yet; `trial`: a fresh trial decides; `elsewhere`: it is kept for
    another power regime than the present one.
    """

    RUNNING = "running"
    WAITING = "waiting"
    TRIAL = "trial"
    ELSEWHERE = "elsewhere"


class KeptView(Answer):
    """A scheduler that won its trial, and that the daemon brings back after a restart.

    `power`: the power regime that it is kept for, empty if there are none. `trial` kept it, or
    decides about it. `kernel`: the release under which it last ran. `reason`: why it is in this
    state, `until` when that ends (0: not known).
    """

    power: str = ""
    scheduler: str
    candidate: str
    workload: str = ""
    objective: str = ""
    trial: str = ""
    since: float
    kernel: str = ""
    state: KeptViewState
    reason: str = ""
    until: float = 0.0


class HoldRequest(Request):
    """Load a proven candidate and keep it until further notice: the operator's own decision."""

    candidate: RecordId


class ParametersRequest(Request):
    """Live parameters of the loaded scheduler, and entries of its maps (u32 key → u64 value)."""

    parameters: dict[str, ParameterValue] = Field(default_factory=dict, max_length=64)
    maps: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")],
        dict[
            Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")],
            Annotated[int, Field(ge=0, lt=2**64)],
        ],
    ] = Field(default_factory=dict, max_length=8)


class RollbackRequest(Request):
    reason: Text = "asked for by the operator"
