# SPDX-License-Identifier: GPL-2.0-or-later
"""Lessons: claims of one line, each with the evidence for and against it. Pure.

A repeated claim is the same lesson with one more piece of evidence. A later verdict on the subject
of a lesson confirms or contradicts it; a lesson that is contradicted as often as confirmed is
weakened, and is the first to go if there are too many. Lessons written by a person are never
dropped to make room.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from process import printable
from scheduler_library.learning.context import SUCH, similarity
from scheduler_library.learning.leading_metric import (
    LeadingMetric,
    leading_metric_of,
    leading_metric_said,
    worth,
)

# How many lessons are kept, and how many pieces of evidence with each.
MOST_LESSONS = 200
MOST_EVIDENCE = 8
LONGEST_TEXT = 500
LONGEST_SAID = 160
# Two claims about the same subject count as one from this fraction of common words on.
SAME_WORDS = 0.7


class Says(StrEnum):
    """A lesson's claim about its scheduler; empty if it makes none."""

    BETTER = "better"
    WORSE = "worse"
    NOTHING = ""


@dataclass(frozen=True)
class LessonEvidence:
    """One measurement. `supports`: it speaks for the lesson."""

    at: float
    episode: str = ""
    trial: str = ""
    said: str = ""
    supports: bool = True


@dataclass(frozen=True)
class Claim:
    """Something worth remembering, and its evidence.

    `about` is a scheduler's name, `policy` its text with the names left out, `objective` the figure
    that decided.
    """

    text: str
    at: float
    author: str = "advisor"
    about: str = ""
    tags: tuple[str, ...] = ()
    says: Says = Says.NOTHING
    evidence: LessonEvidence | None = None
    policy: str = ""
    objective: str = ""


@dataclass(frozen=True)
class Lesson:
    """A claim in its current state. `at`: when it was first made; `confirmed` and `contradicted`
    count all evidence, of which only the latest is kept.

    `comment` is the text above it in the file, and `source` its table there: both are kept for
    their author.
    """

    text: str
    at: float
    author: str = "operator"
    about: str = ""
    tags: tuple[str, ...] = ()
    says: Says = Says.NOTHING
    confirmed: int = 0
    contradicted: int = 0
    evidence: tuple[LessonEvidence, ...] = ()
    policy: str = ""
    objective: str = ""
    comment: tuple[str, ...] = field(default=(), compare=False)
    source: str = field(default="", compare=False, repr=False)

    @property
    def weakened(self) -> bool:
        return self.contradicted > 0 and self.contradicted >= self.confirmed

    @property
    def leading_metric(self) -> LeadingMetric:
        """The figure to which it applies; for older lessons, from their evidence."""
        if self.objective:
            return leading_metric_of(self.objective)
        return next(
            (found for each in self.evidence if (found := leading_metric_said(each.said))),
            LeadingMetric.UNKNOWN,
        )

    @property
    def weight(self) -> float:
        """Its weight, 0 to 1."""
        return worth(self.leading_metric)

    @property
    def by_hand(self) -> bool:
        return self.author == "operator"

    @property
    def latest(self) -> float:
        return max((each.at for each in self.evidence), default=self.at)


@dataclass(frozen=True)
class MeasuredVerdict:
    """A verdict, as far as it speaks for or against lessons."""

    scheduler: str
    tags: tuple[str, ...]
    better: bool
    evidence: LessonEvidence
    objective: str = ""


def one_line(text: str, most: int = LONGEST_TEXT) -> str:
    """Text as one printable line: white space becomes one blank, unprintable characters
    become `?`.
    """
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.-]+", text.casefold())


def _plain_words(text: str) -> frozenset[str]:
    """Without figures: "x0.52" and "x0.49" are the same claim, measured twice."""
    return frozenset(word for word in _words(text) if not re.search(r"\d", word))


def same_claim(lesson: Lesson, claim: Claim) -> bool:
    """Whether a lesson makes the claim already: word for word, or in nearly the same words about
    the same scheduler on such workloads, by the same figure.
    """
    if lesson.objective and leading_metric_of(claim.objective) not in (
        lesson.leading_metric,
        LeadingMetric.UNKNOWN,
    ):
        return False
    if _words(lesson.text) == _words(claim.text):
        return lesson.about == claim.about or not (lesson.about and claim.about)
    if not claim.about or (lesson.about, lesson.says) != (claim.about, claim.says):
        return False
    if similarity(lesson.tags, claim.tags) < SUCH:
        return False
    left, right = _plain_words(lesson.text), _plain_words(claim.text)
    return len(left & right) >= SAME_WORDS * len(left | right)


def _with(lesson: Lesson, evidence: LessonEvidence) -> Lesson:
    """With one more piece of evidence, unless it is there already."""
    if any(each.trial and each.trial == evidence.trial for each in lesson.evidence):
        return lesson
    kept = sorted((*lesson.evidence, evidence), key=lambda each: each.at)[-MOST_EVIDENCE:]
    return replace(
        lesson,
        evidence=tuple(kept),
        confirmed=lesson.confirmed + evidence.supports,
        contradicted=lesson.contradicted + (not evidence.supports),
    )


def learned(lessons: Sequence[Lesson], claim: Claim) -> tuple[list[Lesson], Lesson]:
    """The lessons including this claim, and the lesson that it became."""
    found = list(lessons)
    for place, each in enumerate(found):
        if same_claim(each, claim):
            more = claim.evidence or LessonEvidence(claim.at)
            found[place] = _with(each, more)
            return found, found[place]
    made = Lesson(
        one_line(claim.text),
        claim.at,
        claim.author,
        claim.about,
        claim.tags,
        claim.says,
        int(claim.evidence is not None),
        0,
        (claim.evidence,) if claim.evidence else (),
        claim.policy,
        claim.objective,
    )
    return bounded([*found, made]), made


def judged(lessons: Iterable[Lesson], measured: MeasuredVerdict) -> list[Lesson]:
    """The lessons after a verdict: it speaks for or against each that makes a claim about this
    scheduler on such workloads, by the same figure or by an unknown one.
    """
    by = leading_metric_of(measured.objective)
    found = []
    for each in lessons:
        if (
            each.about == measured.scheduler
            and each.says is not Says.NOTHING
            and similarity(each.tags, measured.tags) >= SUCH
            and not (each.objective and by and each.leading_metric is not by)
        ):
            supports = measured.better == (each.says is Says.BETTER)
            each = _with(each, replace(measured.evidence, supports=supports))
        found.append(each)
    return found


def bounded(lessons: Sequence[Lesson], most: int = MOST_LESSONS) -> list[Lesson]:
    """At most this many: weakened ones go first, then those that were judged by run-queue delay,
    then those with least evidence, then old ones. Lessons written by hand always stay.
    """
    spare = len(lessons) - most
    if spare <= 0:
        return list(lessons)
    order = sorted(
        (place for place, each in enumerate(lessons) if not each.by_hand),
        key=lambda place: (
            not lessons[place].weakened,
            lessons[place].weight,
            lessons[place].confirmed - lessons[place].contradicted,
            lessons[place].latest,
        ),
    )
    gone = set(order[:spare])
    return [each for place, each in enumerate(lessons) if place not in gone]
