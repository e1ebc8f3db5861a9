# SPDX-License-Identifier: GPL-2.0-or-later
"""Common parts of all models: their two kinds, and the forms of names and ids."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

API_VERSION = "v1"
# The largest accepted request body, bytes. A C candidate is at most 1 MiB of source.
BODY_LIMIT_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True)
class Named:
    """The kind of thing that an id names, and the form of such ids, for an error message."""

    kind: str
    shape: str


# A workload's id from the signals program: `cgroup:/path`, `comm:name` for processes of the root
# cgroup, `kthread:name`, `cgroup-id:number` for a cgroup that was gone too soon, `other` for
# workloads beyond the limit of accounts.
WorkloadId = Annotated[
    str,
    StringConstraints(
        min_length=5, max_length=4096, pattern=r"^(cgroup:/|comm:|kthread:|cgroup-id:|other$)"
    ),
    Named("workload", "ids look like `cgroup:/path` or `comm:name`"),
]

# A legal name of a scheduler. Any other text in its place is a policy.
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,40}$"
SchedulerName = Annotated[
    str,
    StringConstraints(pattern=NAME_PATTERN),
    Named("scheduler", "names are lower-case letters, digits, `-` and `_`"),
]
# The maximum length of a policy's text, characters.
POLICY_LIMIT = 64 * 1024

# A workload's id, or a glob over ids (`cgroup:/system.slice/*`), if several may be meant.
WorkloadPattern = Annotated[
    str,
    StringConstraints(
        min_length=5,
        max_length=4096,
        pattern=r"^(cgroup:/|comm:|kthread:|cgroup-id:|other$)[^\x00-\x1f\x7f]*$",
    ),
]
# The text of an objective, as `daemon/decide/objective.py` reads it.
ObjectiveText = Annotated[str, StringConstraints(min_length=1, max_length=500)]
RecordId = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,4}-[0-9a-z]{4,32}$")]
CandidateId = Annotated[RecordId, Named("candidate", "ids look like `c-1a2b3c`")]
TrialId = Annotated[RecordId, Named("trial", "ids look like `t-1a2b3c`")]
EpisodeId = Annotated[RecordId, Named("episode", "ids look like `e-1a2b3c`")]
RecordingId = Annotated[RecordId, Named("recording", "ids look like `r-1a2b3c`")]
ApprovalId = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9a-z-]{1,64}$"),
    Named("approval", "ids of approvals are those that `status` and the events name"),
]
Text = Annotated[str, StringConstraints(max_length=2000)]
ParameterValue = bool | int | float | str


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")
