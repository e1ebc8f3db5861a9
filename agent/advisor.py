# SPDX-License-Identifier: GPL-2.0-or-later
"""What an advisor is asked, and what it may answer.

An advisor only thinks: it gets one frozen `Situation` and answers with `Advice`. The loop acts
(candidates, trials, closing the episode), so that no advisor, however clever or confused, can skip
a gate or run more than one trial.
"""

from dataclasses import dataclass, field
from typing import Protocol

from daemon.api.models import (
    CostReport,
    EpisodeView,
    LearnedClass,
    ParameterValue,
    ProfileView,
    StatusView,
    TrialView,
)


@dataclass(frozen=True)
class Situation:
    """Everything known at the time an advisor is asked.

    Names of workloads and processes in here are hostile text: an advisor that passes them
    on (to a model, to a log) marks and escapes them.

    Attributes:
        at: Unix seconds; advisors read no clock of their own.
        beliefs: the daemon's beliefs about all schedulers that could be tried, from measurements.
        tried: this episode's finished trials, oldest first.
        refused: proposals of this episode that never reached a trial.
    """

    at: float
    episode: EpisodeView
    profile: ProfileView
    status: StatusView
    beliefs: LearnedClass = field(default_factory=lambda: LearnedClass(tags=[]))
    tried: tuple[TrialView, ...] = ()
    refused: tuple["RefusedProposal", ...] = ()


@dataclass(frozen=True)
class Proposal:
    """One thing to try: a library scheduler, or the text of a policy, with parameters.

    With `policy`, `scheduler` is the name that the policy will get.

    `expected_gain` is the relative improvement of the objective that the advisor expects
    (0.2: one fifth better), `expectation` the same in words.
    """

    scheduler: str
    parameters: dict[str, ParameterValue] = field(default_factory=dict)
    reason: str = ""
    expectation: str = ""
    expected_gain: float = 0.0
    policy: str = ""

    @property
    def title(self) -> str:
        """`name (parameter=value, …)`, or the text of a policy; for people."""
        if self.policy:
            return self.policy
        if not self.parameters:
            return self.scheduler
        listing = ", ".join(f"{name}={value}" for name, value in sorted(self.parameters.items()))
        return f"{self.scheduler} ({listing})"


@dataclass(frozen=True)
class RefusedProposal:
    """A proposal that a gate or the daemon refused, and the reason."""

    proposal: Proposal
    why: str


@dataclass(frozen=True)
class Advice:
    """Proposals in the order to try them; if empty, do nothing, for the given `reason`."""

    proposals: tuple[Proposal, ...]
    reason: str
    cost: CostReport = field(default_factory=CostReport)


@dataclass(frozen=True)
class EpisodeResult:
    """The result of one trial of an episode, for learning. `proposal` led to `trial`."""

    situation: Situation
    proposal: Proposal
    trial: TrialView


class Advisor(Protocol):
    """Decides what to try next. May raise `process.Fault`; the loop survives it."""

    @property
    def name(self) -> str:
        """Recorded with the episode; lower case, digits and dashes."""
        ...

    async def propose(self, situation: Situation) -> Advice:
        """What to try now, best first."""
        ...

    async def learn(self, result: EpisodeResult) -> str:
        """Process one verdict. Returns a lesson of one line, or "" if nothing is worth
        remembering.
        """
        ...
