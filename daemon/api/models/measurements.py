# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers that an application or the agent measured."""

from typing import Annotated

from pydantic import Field, StringConstraints

from daemon.api.models.base import Request


class MeasurementRequest(Request):
    """A number an unprivileged process measured (an application, or the agent's objective poll)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,60}$")]
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Annotated[str, StringConstraints(max_length=16)] = ""
    started: float | None = None
