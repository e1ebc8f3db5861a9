# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads and their profiles."""

from typing import Literal

from pydantic import Field

from daemon.api.models.base import Answer
from daemon.api.models.objectives import Degradation
from daemon.api.models.signals import SignalPoint


class ProcessView(Answer):
    """Hostile text, cut to sensible lengths and escaped for display."""

    pid: int
    name: str
    command: str
    threads: int
    user: str


class PurposeView(Answer):
    """The figure that counts for a workload, and the evidence:

    `declared` by the operator, the `program`, its behaviour when it gets its CPU time (`calm`), or
    its behaviour `now`, possibly starved. `why` is a sentence that may quote hostile text.
    """

    purpose: Literal["latency", "throughput", "makespan"]
    by: Literal["declared", "program", "calm", "now"]
    certainty: Literal["sure", "likely", "guess"]
    why: str


class SplitView(Answer):
    """The parts of response time, as fractions of its mean: on a CPU, waiting for one after the
    wakeup, and waiting for one after losing it.
    """

    running: float
    waiting: float
    preempted: float


class Responses(Answer):
    """How long a workload's threads take from a wakeup to their next sleep; all None if the signals
    only report stays on a CPU, or if none slept.

    `bound`: the fraction of their mean response that would remain if they were scheduled at once
    and without interruption. `runs_to_completion`: they sleep only at the end of long bursts, if
    allowed.
    """

    split: SplitView | None = None
    bound: float | None = None
    runs_to_completion: bool | None = None
    response_p50_us: float | None = None
    response_p99_us: float | None = None
    completions_per_s: float | None = None
    burst_p50_us: float | None = None


class ProfileView(Responses):
    """A workload's profile.

    `tags` are the words that manifests use; those that are `doubtful` count less. `purposes`: the
    figures that count for it, the strongest evidence first.
    """

    workload: str
    tags: list[str]
    doubtful: list[str] = Field(default_factory=list)
    purposes: list[PurposeView] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    sure_of: list[str] = Field(default_factory=list)


class WorkloadView(Answer):
    id: str
    last: SignalPoint | None = None
    baseline_delay_p99_us: float | None = None
    baseline_response_p99_us: float | None = None
    degraded: Degradation | None = None
    tags: list[str] = Field(default_factory=list)


class WorkloadDetail(WorkloadView):
    profile: ProfileView
    processes: list[ProcessView] = Field(default_factory=list)
