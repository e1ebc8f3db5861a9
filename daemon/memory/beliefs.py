# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's beliefs about schedulers, and their reasons: the history as evidence, beliefs,
searches.

The learning itself is `scheduler_library.learning`, which is pure; this supplies the records.
Advisors, the command and searches all get the same beliefs.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from daemon.api.models import (
    LearnedClass,
    LearnedView,
    ProfileView,
    RememberedFailure,
    TrialView,
    WeightView,
)
from daemon.decide.backoff import Quarantine
from daemon.memory.belief_views import (
    LEAST_MOVE,
    belief_view,
    belief_views,
    episodes_like,
    failure,
    moved_by,
    observation,
)
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import Lessons, views_of
from process import Fault
from process.run import PATH
from scheduler_library.catalog import Catalog, CatalogEntry
from scheduler_library.history import Decision
from scheduler_library.history_learning import KEPT_MOVES, Move, VerdictEvidence
from scheduler_library.learning import bandit, weights
from scheduler_library.learning.bandit import BanditObservation, ObservationKind
from scheduler_library.learning.beliefs import NamedTemplate, TrialOption, options
from scheduler_library.learning.context import Context, wanted_tags, with_purpose
from scheduler_library.learning.leading_metric import leading_metric_of
from scheduler_library.learning.lessons import Lesson
from scheduler_library.learning.templates import Template, bad_for, name_of, shape, templates
from scheduler_library.manifest import EntryKind
from scheduler_library.purpose import purpose_of_goal
from scheduler_library.retrieval import HistoryKnowledge, RankedEntry, features_of, find

# How many of the newest verdicts beliefs are made from.
EVIDENCE = 2000
# How many kinds of workloads are listed, the last met; and how many schedulers for each.
MOST_CLASSES = 12
MOST_BELIEFS = 8


@dataclass(frozen=True)
class BeliefQuestion:
    """The subject of a query: the workload as measured, the complaint about it, and the person's
    goal.
    """

    profile: ProfileView
    complaint: str = ""
    goal: str = ""

    def context(self) -> Context:
        measured, doubtful = tuple(self.profile.tags), tuple(self.profile.doubtful)
        tags = wanted_tags(measured, self.complaint, doubtful)
        asked = purpose_of_goal(self.goal) if self.goal else None
        if asked is not None:
            tags = with_purpose(tags, asked)
        return Context(
            tags,
            measured,
            self.profile.figures,
            self.profile.workload,
            tuple(tag for tag in doubtful if tag in tags),
            leading_metric_of(self.complaint),
        )


class Beliefs:
    """Answers from the records. `quarantines` are all that are remembered."""

    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        history_writer: HistoryWriter,
        lessons: Lessons,
        quarantines: Callable[[], tuple[Quarantine, ...]],
    ) -> None:
        self._catalog = catalog
        self._history_writer = history_writer
        self._lessons = lessons
        self._quarantines = quarantines

    # ------------------------------------------------------------ evidence

    def _evidence(self) -> list[VerdictEvidence]:
        return self._history_writer.evidence(EVIDENCE)

    def _observed(self, evidence: Iterable[VerdictEvidence]) -> list[BanditObservation]:
        """All evidence for or against a scheduler."""
        found = [observation(each) for each in evidence]
        return found + [failure(each) for each in self._quarantines()]

    def _weights(self) -> dict[str, float]:
        moves = self._history_writer.moves(1)
        known = dict(moves[0].weights) if moves else {}
        # A later version may have other weights.
        return known if set(known) == set(weights.PRIOR) else dict(weights.PRIOR)

    def _options(
        self,
        context: Context,
        observed: list[BanditObservation],
        now: float,
        lines: Iterable[NamedTemplate] | None = None,
    ) -> list[TrialOption]:
        return options(
            self._catalog(),
            _lines(context) if lines is None else lines,
            context,
            observed,
            now,
            installed=is_installed,
            policy_of=_policy_of,
        )

    # ------------------------------------------------------------ answers

    def beliefs(self, met: BeliefQuestion, now: float) -> LearnedClass:
        """The belief about everything that could be tried on a workload, best first."""
        evidence = self._evidence()
        context, observed = met.context(), self._observed(evidence)
        found = self._options(context, observed, now)
        return LearnedClass(
            tags=list(context.tags),
            episodes=episodes_like(evidence, context),
            beliefs=belief_views(found, context, observed, now),
        )

    def warning(self, met: BeliefQuestion, name: str, policy: str) -> str:
        """Why nobody should try a scheduler, or a policy, on a workload on their own initiative;
        empty if nothing speaks against it. Any thread may ask.
        """
        context = met.context()
        against = bad_for(policy, context.tags)
        lines = [NamedTemplate(Template(policy, (), against, ""), name)] if policy else ()
        found = self._options(context, self._observed(self._evidence()), time.time(), lines)
        return next((each.warned for each in found if each.name == name), "")

    def classes(self, now: float) -> list[LearnedClass]:
        """The kinds of workloads that were met, with the schedulers that were tried there."""
        evidence = self._evidence()
        observed = self._observed(evidence)
        latest: dict[tuple[str, ...], VerdictEvidence] = {}
        for each in evidence:
            latest.setdefault(each.tags, each)
        found = []
        for tags, newest in list(latest.items())[:MOST_CLASSES]:
            context = Context(tags, tags, newest.figures)
            of_class = [each for each in evidence if each.tags == tags]
            lines = _lines_tried(of_class, tags)
            tried = [
                each
                for each in self._options(context, observed, now, lines)
                if each.belief.observations
            ]
            found.append(
                LearnedClass(
                    tags=list(tags),
                    episodes=len({each.episode for each in of_class}),
                    beliefs=[belief_view(each) for each in tried[:MOST_BELIEFS]],
                )
            )
        return found

    def view(self, met: BeliefQuestion | None, lessons: Sequence[Lesson]) -> LearnedView:
        """Everything that was learned; for one workload if it is named. Any thread may ask."""
        now = time.time()
        return LearnedView(
            at=now,
            workload=met.profile.workload if met else "",
            classes=[self.beliefs(met, now)] if met else self.classes(now),
            weights=self._weight_views(),
            lessons=views_of(lessons),
            failures=[
                RememberedFailure(
                    scheduler=each.scheduler,
                    kind="gate" if each.by_gate else "quarantine",
                    reason=each.reason,
                    at=each.since,
                    weight=round(bandit.aged(each.since, now, ObservationKind.GATE), 3),
                    until=each.until,
                )
                for each in self._quarantines()
            ],
            lessons_file=str(self._lessons.path),
        )

    def _weight_views(self) -> list[WeightView]:
        moves, current = self._history_writer.moves(KEPT_MOVES), self._weights()
        return [
            WeightView(
                name=name,
                weight=round(current[name], 4),
                prior=prior,
                moved=sum(abs(each.moved.get(name, 0.0)) >= LEAST_MOVE for each in moves),
                why=moved_by(name, moves),
            )
            for name, prior in weights.PRIOR.items()
        ]

    def search(
        self, query: str, met: BeliefQuestion | None, lessons: Sequence[Lesson]
    ) -> list[RankedEntry]:
        """The library for a text, a workload, or both; by words, tags, measurements and lessons,
        each with its weight. Any thread may ask.
        """
        context = met.context() if met else Context(())
        known = self._known(context, self._observed(self._evidence()), lessons)
        return find(self._catalog(), query, context.tags + context.machine, known)

    def _known(
        self, context: Context, observed: list[BanditObservation], lessons: Iterable[Lesson]
    ) -> HistoryKnowledge:
        found = self._options(context, observed, time.time()) if context.tags else []
        told: dict[str, list[str]] = {}
        for lesson in lessons:
            if lesson.about and not lesson.weakened and lesson.weight == 1:
                told.setdefault(lesson.about, []).append(f"{lesson.text} {' '.join(lesson.tags)}")
        for each in observed:
            if each.kept:
                told.setdefault(each.scheduler, []).append(" ".join(each.tags or ()))
        return HistoryKnowledge(
            {each.name: each.belief for each in found},
            {name: " ".join(texts) for name, texts in told.items()},
            self._weights(),
            {each.name: each.warned for each in found if each.warned},
        )

    # ------------------------------------------------------------ learning

    def trial_ended(self, trial: TrialView, profile: ProfileView | None) -> None:
        """After a verdict: the weights of a search move by how well they would have chosen, and
        lessons are confirmed or contradicted.
        """
        if trial.verdict is None or profile is None:
            return
        self._lessons.judge(trial, profile.tags)
        catalog = self._catalog()
        if trial.scheduler not in catalog.entries:
            return
        context = BeliefQuestion(profile).context()
        before = [each for each in self._evidence() if each.trial != trial.id]
        known = self._known(context, self._observed(before), self._lessons.all())
        features = {
            name: of for name, (of, _) in features_of(catalog, "", context.tags, known).items()
        }
        kept = trial.verdict.decision.value == Decision.KEEP.value
        step = weights.adjusted(
            known.weights, features[trial.scheduler], list(features.values()), kept=kept
        )
        self._history_writer.moved(
            Move(
                trial.id,
                trial.ended or time.time(),
                trial.scheduler,
                kept,
                step.expected,
                step.weights,
                step.moved,
            )
        )


def is_installed(entry: CatalogEntry) -> bool:
    """Whether it can be loaded here; a third-party program may not be installed."""
    manifest = entry.manifest
    return (
        manifest.kind is not EntryKind.EXTERNAL
        or shutil.which(manifest.command or "", path=PATH) is not None
    )


def _lines(context: Context) -> list[NamedTemplate]:
    return [
        NamedTemplate(each, name_of(each.policy))
        for each in templates(context.tags, context.workload)
    ]


def _lines_tried(evidence: Iterable[VerdictEvidence], tags: tuple[str, ...]) -> list[NamedTemplate]:
    """The policy lines that were tried on such workloads, with the names in them left out."""
    shapes = {each.scheduler: each.parent for each in evidence if each.parent}
    offered = {shape(each.policy): each for each in templates(tags, "comm:x")}
    return [
        NamedTemplate(replace(offered.get(each) or Template(each, (), (), ""), policy=each), name)
        for name, each in shapes.items()
    ]


@lru_cache(512)
def _policy_of(entry: CatalogEntry) -> str:
    try:
        return entry.policy()
    except Fault:
        return ""
