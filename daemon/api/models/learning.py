# SPDX-License-Identifier: GPL-2.0-or-later
"""What was learned: outcomes, lessons and beliefs."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from daemon.api.models.base import Answer, ParameterValue, RecordId, Request
from daemon.api.models.trials import Decision


class OutcomeView(Answer):
    """The history of a scheduler on workloads with these tags (for advisors).

    `objective`: the figure that decided; `low` and `high` bound the gain, equal if nothing was
    compared.
    """

    scheduler: str
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    tags: list[str]
    decision: Decision
    gain: float
    at: float
    objective: str = ""
    low: float | None = None
    high: float | None = None


class EvidenceView(Answer):
    """One piece of evidence for or against a lesson; `said` has the figures."""

    at: float
    episode: str = ""
    trial: str = ""
    said: str = ""


class LessonRequest(Request):
    """One line. `trial` (else the last one of the episode) is its evidence."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    episode: RecordId | None = None
    trial: RecordId | None = None


class LessonView(Answer):
    """One line that an advisor or the operator (`author`) learned; hostile text.

    `about` is its scheduler, with the tags of the workloads, if known; `policy` is its text, with
    the names left out, and `objective` the figure that decided. `confirmed` and `contradicted`
    count later measurements; `weakened` says that the second are as many as the first. `weight` is
    below 1 if it was judged by run-queue delay.
    """

    text: str
    episode: str = ""
    at: float
    author: str = "advisor"
    about: str = ""
    tags: list[str] = Field(default_factory=list)
    confirmed: int = 0
    contradicted: int = 0
    weakened: bool = False
    policy: str = ""
    objective: str = ""
    weight: float = 1.0
    evidence: list[EvidenceView] = Field(default_factory=list)


class BeliefView(Answer):
    """The belief about one scheduler (or policy) on such a workload, before it is tried.

    `mean` is the expected gain (0.25: a quarter better), `low` to `high` contain it with 95 %,
    `chance` is the probability of any gain. `observations` are verdicts and failures that count
    here, `weight` what they count together, `kept` how many of them were keeps. `parameters` are
    those with which it would be tried; `policy` is the text of a policy that is not in the library.
    `refused` says why it cannot be tried now, `warned` why nobody should try it on their own
    initiative: its page calls it bad for the figure that counts here, and no measurement
    contradicts that.
    """

    scheduler: str
    kind: Literal["bpf", "policy", "external"] = "bpf"
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    prior: float = 0.0
    mean: float
    deviation: float
    low: float
    high: float
    chance: float
    observations: int = 0
    kept: int = 0
    failures: int = 0
    weight: float = 0.0
    why: list[str] = Field(default_factory=list)
    refused: str = ""
    warned: str = ""


class LearnedClass(Answer):
    """The beliefs for workloads of one kind; best first. `episodes`: how often it was met."""

    tags: list[str]
    episodes: int = 0
    beliefs: list[BeliefView] = Field(default_factory=list)


class RememberedFailure(Answer):
    """A gate that stopped a scheduler, or an ejection by the kernel.

    `weight` is its remaining weight: it ages. Until `until` it may not (or might not) be loaded.
    """

    scheduler: str
    kind: Literal["gate", "quarantine"]
    reason: str
    at: float
    weight: float
    until: float = 0.0


class WeightView(Answer):
    """The weight of one kind of evidence in a search, and its last change."""

    name: str
    weight: float
    prior: float
    moved: int = 0
    why: str = ""


class LearnedView(Answer):
    """What was learned, and the reasons.

    With an episode or a workload there is one class, that of this workload; else one for each
    kind of workload that was met.
    """

    at: float
    workload: str = ""
    classes: list[LearnedClass] = Field(default_factory=list)
    weights: list[WeightView] = Field(default_factory=list)
    lessons: list[LessonView] = Field(default_factory=list)
    failures: list[RememberedFailure] = Field(default_factory=list)
    lessons_file: str = ""
