# SPDX-License-Identifier: GPL-2.0-or-later
"""The form of an error answer."""

from pydantic import Field

from daemon.api.models.base import Answer


class Problem(Answer):
    """RFC 9457 problem details; `type` is `urn:schedpilot:fault:NAME` with a stable NAME.

    `detail` is the fault's `what`; `where`, `why`, `hint` and `lines` are its other parts.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    where: str = ""
    why: str = ""
    hint: str = ""
    lines: list[str] = Field(default_factory=list)
