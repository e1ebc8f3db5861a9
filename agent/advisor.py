# SPDX-License-Identifier: GPL-2.0-or-later
"""What every advisor is asked, and what it may answer.

An advisor only thinks: it is given one frozen `Situation` and answers with `Advice`. Acting
(candidates, trials, closing the episode) is the loop's, so that no advisor, however clever
or however confused, can skip a gate or hold more than one trial.
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
    """Everything known when an advisor is asked.

    Names of workloads and processes in here are hostile text: an advisor that passes them
    on (to a model, to a log) marks and escapes them.

    Attributes:
        at: Unix seconds; advisors read no clock of their own.
        beliefs: what the daemon believes of all that could be tried, from what was measured.
        tried: this episode's finished trials, oldest first.
        refused: what was proposed in this episode and never came to a trial.
    """

    at: float
    episode: EpisodeView
    profile: ProfileView
    status: StatusView
    beliefs: LearnedClass = field(default_factory=lambda: LearnedClass(tags=[]))
    tried: tuple[TrialView, ...] = ()
    refused: tuple["Refusal", ...] = ()


@dataclass(frozen=True)
class Proposal:
    """One thing to try: a library scheduler, or the text of a policy, with parameters.

    With `policy`, `scheduler` is the name that the policy is going to have.

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
class Refusal:
    """A proposal that a gate or the daemon refused, and why."""

    proposal: Proposal
    why: str


@dataclass(frozen=True)
class Advice:
    """Proposals in the order to try them; none means: do nothing, and `reason` says why."""

    proposals: tuple[Proposal, ...]
    reason: str
    cost: CostReport = field(default_factory=CostReport)


@dataclass(frozen=True)
class EpisodeResult:
    """How one trial of an episode came out, for learning. `proposal` led to `trial`."""

    situation: Situation
    proposal: Proposal
    trial: TrialView


class Advisor(Protocol):
    """Someone who knows what to try next. May raise `process.Fault`; the loop survives it."""

    @property
    def name(self) -> str:
        """Recorded with the episode; lower case, digits and dashes."""
        ...

    async def propose(self, situation: Situation) -> Advice:
        """What to try now, best first."""
        ...

    async def learn(self, result: EpisodeResult) -> str:
        """Take in one verdict. Returns a lesson of one line, or nothing worth remembering."""
        ...
