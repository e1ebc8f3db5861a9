# SPDX-License-Identifier: GPL-2.0-or-later
"""The schedulers of the library."""

from typing import Literal

from pydantic import Field

from daemon.api.models.base import Answer, ParameterValue


class ParameterView(Answer):
    name: str
    type: str
    default: ParameterValue
    min: float | None = None
    max: float | None = None
    unit: str = ""
    description: str = ""
    when: str = "load"


class SchedulerView(Answer):
    name: str
    kind: Literal["bpf", "policy", "external"]
    summary: str
    tags: list[str]
    good_for: list[str]
    bad_for: list[str]
    origin: str
    installed: bool
    score: float | None = None
    why: list[str] = Field(default_factory=list)


class SchedulerDetail(SchedulerView):
    description: str
    algorithm: str
    parameters: list[ParameterView] = Field(default_factory=list)
    page: str = ""
    license: str = ""
    parent: str = ""
    # The text of a policy, as it is written; empty for every other kind.
    policy: str = ""
    # For an installed program: its version, and the reason why it cannot be used here.
    version: str = ""
    note: str = ""
