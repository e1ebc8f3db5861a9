# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of the machine's activity."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from daemon.api.models.base import Answer, Request, WorkloadId


class RecordingState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class RecordingRequest(Request):
    """Record the machine's activity, to simulate it; without `workload` all of it."""

    seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    workload: WorkloadId | None = None
    most_bytes: Annotated[int, Field(ge=4096, le=1 << 28)] = 64 << 20


class RecordingView(Answer):
    """A recording, running or stored. `workloads` are those in it, hostile text.

    `lost` events were not recorded for lack of room, `left_out` tasks because there were too many;
    `cut` names the limit that ended it early, or `stopped`. `reason` says why one failed.
    """

    id: str
    state: RecordingState
    workload: str = ""
    began: float
    wanted_s: float
    seconds: float = 0.0
    records: int = 0
    tasks: int = 0
    bytes: int = 0
    lost: int = 0
    left_out: int = 0
    cut: str = ""
    reason: str = ""
    workloads: list[str] = Field(default_factory=list)
