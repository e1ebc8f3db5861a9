# SPDX-License-Identifier: GPL-2.0-or-later
"""Arguments and answers that several tools share."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from daemon.api.models import ParameterValue
from mcp_server.untrusted import marked, word

WorkloadArgument = Annotated[
    str,
    Field(
        max_length=4200,
        description="A workload: its handle (like w3f0c81b2aa), or its whole id",
    ),
]


def told(values: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
    """Parameters for a model; the candidate's author chose their names and texts."""
    return {
        word(name): marked(value) if isinstance(value, str) else value
        for name, value in values.items()
    }
