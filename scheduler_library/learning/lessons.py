# SPDX-License-Identifier: GPL-2.0-or-later
"""Lessons: claims of one line, each with what speaks for and against it. Pure.

A claim that is made again is the same lesson with one more piece of evidence. A later verdict on
what a lesson is about confirms or contradicts it; what is contradicted as often as confirmed is
weakened, and goes first when there are too many. What a person wrote is never dropped for room.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from process import printable
from scheduler_library.learning.context import SUCH, similarity
from scheduler_library.learning.yardstick import (
    Yardstick,
    worth,
    yardstick_of,
    yardstick_said,
)

# So many lessons are kept, and so many pieces of evidence with each.
MOST_LESSONS = 200
MOST_EVIDENCE = 8
LONGEST_TEXT = 500
LONGEST_SAID = 160
# Two claims about the same thing are one from this part of common words on.
SAME_WORDS = 0.7


class Says(StrEnum):
    """What a lesson claims of its scheduler; empty where it claims neither."""

    BETTER = "better"
    WORSE = "worse"
    NOTHING = ""


@dataclass(frozen=True)
class Evidence:
    """One thing that was measured. `supports`: it speaks for the lesson."""

    at: float
    episode: str = ""
    trial: str = ""
    said: str = ""
    supports: bool = True


@dataclass(frozen=True)
class Claim:
    """What somebody wants remembered, and what it rests on. `about` is a scheduler's name, `policy`
    its text with the names left out, `objective` what it was judged by."""

    text: str
    at: float
    author: str = "advisor"
    about: str = ""
    tags: tuple[str, ...] = ()
    says: Says = Says.NOTHING
    evidence: Evidence | None = None
    policy: str = ""
    objective: str = ""


@dataclass(frozen=True)
class Lesson:
    """A claim as it stands. `at`: when it was first made; `confirmed` and `contradicted` count
    all evidence there was, of which only the latest is kept.

    `comment` is what stood above it in the file, kept for whoever wrote it.
    """

    text: str
    at: float
    author: str = "operator"
    about: str = ""
    tags: tuple[str, ...] = ()
    says: Says = Says.NOTHING
    confirmed: int = 0
    contradicted: int = 0
    evidence: tuple[Evidence, ...] = ()
    policy: str = ""
    objective: str = ""
    comment: tuple[str, ...] = field(default=(), compare=False)

    @property
    def weakened(self) -> bool:
        return self.contradicted > 0 and self.contradicted >= self.confirmed

    @property
    def yardstick(self) -> Yardstick:
        """By what it holds; of what was learned before that was noted, as its evidence says."""
        if self.objective:
            return yardstick_of(self.objective)
        return next(
            (found for each in self.evidence if (found := yardstick_said(each.said))),
            Yardstick.UNKNOWN,
        )

    @property
    def weight(self) -> float:
        """What it counts for, 0 to 1."""
        return worth(self.yardstick)

    @property
    def by_hand(self) -> bool:
        return self.author == "operator"

    @property
    def latest(self) -> float:
        return max((each.at for each in self.evidence), default=self.at)


@dataclass(frozen=True)
class Measured:
    """A verdict, as far as it speaks for or against lessons."""

    scheduler: str
    tags: tuple[str, ...]
    better: bool
    evidence: Evidence
    objective: str = ""


def one_line(text: str, most: int = LONGEST_TEXT) -> str:
    """Text as one line that can be shown: white space is one blank, what cannot be shown is `?`."""
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.-]+", text.casefold())


def _plain_words(text: str) -> frozenset[str]:
    """Without figures: "x0.52" and "x0.49" are the same claim, measured twice."""
    return frozenset(word for word in _words(text) if not re.search(r"\d", word))


def same_claim(lesson: Lesson, claim: Claim) -> bool:
    """Whether a claim is one that a lesson makes already: word for word, or in nearly the same
    words about the same scheduler on such workloads, by the same yardstick."""
    if lesson.objective and yardstick_of(claim.objective) not in (
        lesson.yardstick,
        Yardstick.UNKNOWN,
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


def _with(lesson: Lesson, evidence: Evidence) -> Lesson:
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
    """The lessons with this claim among them, and the lesson that it became."""
    found = list(lessons)
    for place, each in enumerate(found):
        if same_claim(each, claim):
            more = claim.evidence or Evidence(claim.at)
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


def judged(lessons: Iterable[Lesson], measured: Measured) -> list[Lesson]:
    """The lessons after a verdict: it speaks for or against each that claims something of this
    scheduler on such workloads, by the same yardstick or by one that was not noted."""
    by = yardstick_of(measured.objective)
    found = []
    for each in lessons:
        if (
            each.about == measured.scheduler
            and each.says is not Says.NOTHING
            and similarity(each.tags, measured.tags) >= SUCH
            and not (each.objective and by and each.yardstick is not by)
        ):
            supports = measured.better == (each.says is Says.BETTER)
            each = _with(each, replace(measured.evidence, supports=supports))
        found.append(each)
    return found


def bounded(lessons: Sequence[Lesson], most: int = MOST_LESSONS) -> list[Lesson]:
    """At most so many: weakened ones go first, then those that were judged by run-queue delay, then
    those with least evidence, then old ones.
    What was written by hand stays, whatever there is of it."""
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
