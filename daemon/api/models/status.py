# SPDX-License-Identifier: GPL-2.0-or-later
"""The state of the daemon and of the machine."""

from enum import StrEnum

from pydantic import Field

from daemon.api.models.base import Answer
from daemon.api.models.objectives import Degradation, ObjectiveView
from daemon.api.models.scheduler import KeptView, LoadedScheduler
from daemon.api.models.trials import PendingApproval


class Autonomy(StrEnum):
    """What the daemon may do on its own; the operator's choice."""

    OBSERVE = "observe"
    ASK = "ask"
    AUTO = "auto"


class KernelView(Answer):
    """The state in sysfs, never the intended one.

    `state` is the kernel's own word. `tick_us` is the time between two timer ticks, at which slices
    end; 0 if the kernel's configuration cannot be read.
    """

    supported: bool
    state: str = ""
    tick_us: float = 0.0
    ops: str = ""
    enable_seq: int = 0
    nr_rejected: int = 0


class Limitation(Answer):
    """Why the daemon does less than it is configured to, and until when (0: until
    further notice).
    """

    reason: str
    until: float = 0.0


class QuarantineView(Answer):
    candidate: str
    scheduler: str
    reason: str
    since: float
    until: float


class PreparedState(StrEnum):
    """The progress of a scheduler that is proven ahead.

    `failed`: this machine was too slow for it, or something that it needs is missing.
    """

    WAITING = "waiting"
    WORKING = "working"
    PROVEN = "proven"
    REFUSED = "refused"
    FAILED = "failed"


class PreparedView(Answer):
    """One scheduler of the library, or one line of policy, that is proven ahead."""

    name: str
    policy: str = ""
    state: PreparedState
    candidate: str = ""
    gate: str = ""
    reason: str = ""


class PreparationView(Answer):
    """The candidates proven ahead, before anybody needs them.

    `waiting_for`: why nothing is done now, if something is left to do; empty during the work and
    when all is done.
    """

    enabled: bool
    waiting_for: str = ""
    proven: int = 0
    of: int = 0
    schedulers: list[PreparedView] = Field(default_factory=list)


class StatusView(Answer):
    version: str
    pid: int
    since: float
    autonomy: Autonomy
    advice_only: Limitation | None = None
    cooldown: Limitation | None = None
    kernel: KernelView
    loaded: LoadedScheduler | None = None
    kept: list[KeptView] = Field(default_factory=list)
    # The power regime, such as `battery/power-saver`; empty on a machine without one.
    power: str = ""
    foreign: str = ""
    trial: str = ""
    episode: str = ""
    approvals: list[PendingApproval] = Field(default_factory=list)
    degraded: list[Degradation] = Field(default_factory=list)
    objectives: list[ObjectiveView] = Field(default_factory=list)
    quarantine: list[QuarantineView] = Field(default_factory=list)
    preparation: PreparationView | None = None
    # The CPU sets that tell CPUs apart here, as a policy names them, and their CPUs: `cpus llc 1`
    # to `8-15`. `smt`: some core has several CPUs.
    cpu_sets: dict[str, str] = Field(default_factory=dict)
    smt: bool = False
    # How much worse than before trials let everybody's figures become (0.2: a fifth), and
    # `starved_us`, a wait for a CPU that ends a trial.
    tolerated: dict[str, float] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)
