# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's side of the file of lessons: reread when it changed, written whole or not at all.

While the file cannot be parsed or written, new lessons are kept in the history and moved into the
file later; so are the lessons of versions without such a file.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from daemon.api.display import displayable
from daemon.api.models import Decision, EvidenceView, LessonView, TrialView
from daemon.api.telling import outcome
from daemon.memory.history_writer import HistoryWriter
from process import Fault
from scheduler_library.learning import lessons_file
from scheduler_library.learning.lessons import (
    LONGEST_SAID,
    Claim,
    Lesson,
    LessonEvidence,
    MeasuredVerdict,
    Says,
    judged,
    learned,
    one_line,
)
from scheduler_library.learning.templates import shape

FILE = lessons_file.FILE
_Stamp = tuple[int, int, int]


class Lessons:
    """Holds the lessons. Calls are short and made from the event loop."""

    def __init__(
        self, path: Path, history_writer: HistoryWriter, on_trouble: Callable[[str], None]
    ) -> None:
        self.path = path
        self._history_writer = history_writer
        self._on_trouble = on_trouble
        self._told = ""
        self._head = ""
        self._known: list[Lesson] = []
        self._stamp: _Stamp | None = None
        self._broken = False
        self._waiting = bool(history_writer.held_lessons())

    # ------------------------------------------------------------ the file

    def _trouble(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._on_trouble(text)

    def _refresh(self) -> bool:
        """Read the file if it changed. Returns whether it is usable."""
        stamp = _stamp(self.path)
        if stamp == self._stamp and (stamp is not None or not self._known):
            return not self._broken
        self._stamp = stamp
        try:
            self._head, self._known = lessons_file.read(self.path)
            self._broken = False
        except Fault as fault:
            self._broken = True
            self._trouble(f"{fault}. {fault.hint}")
        return not self._broken

    def _write(self, lessons: Sequence[Lesson]) -> bool:
        try:
            lessons_file.write(self.path, self._head, lessons)
        except OSError as error:
            self._trouble(f"{self.path} cannot be written: {error.strerror}")
            return False
        self._known = list(lessons)
        self._stamp = _stamp(self.path)
        self._told = ""
        return True

    def _drain(self) -> None:
        """Move the waiting lessons from the history into the file."""
        if not self._waiting:
            return
        lessons = list(self._known)
        for claim in self._held():
            lessons, _ = learned(lessons, claim)
        if self._write(lessons):
            self._history_writer.drop_lessons()
            self._waiting = False

    def _held(self) -> list[Claim]:
        """The lessons that wait in the history, oldest first."""
        return [
            self._claim(
                each.text, each.author, each.episode or "", self._last(each.episode), each.at
            )
            for each in reversed(self._history_writer.held_lessons())
        ]

    # ------------------------------------------------------------ learning

    def record(self, text: str, author: str, episode: str, trial: str, at: float) -> LessonView:
        """Add a lesson; a repeated claim is one more piece of evidence for it."""
        evidence = self._history_writer.trial_view(trial) if trial else self._last(episode)
        claim = self._claim(text, author, episode, evidence, at)
        well = self._refresh()
        if well:
            self._drain()
        lessons, lesson = learned(self._known, claim)
        if not well or not self._write(lessons):
            self._waiting = True
            self._history_writer.hold_lesson(claim.text, author, episode, at)
        return view_of(lesson)

    def judge(self, trial: TrialView, tags: Sequence[str]) -> None:
        """A verdict speaks for or against the lessons about this scheduler."""
        if trial.verdict is None or not self._refresh():
            return
        better = trial.verdict.decision is Decision.KEEP
        measured = MeasuredVerdict(
            trial.scheduler, tuple(tags), better, _evidence(trial), trial.objective
        )
        lessons = judged(self._known, measured)
        if lessons != self._known:
            self._write(lessons)

    def _last(self, episode: str | None) -> TrialView | None:
        """The last trial of an episode with a verdict."""
        view = self._history_writer.episode_view(episode) if episode else None
        trials = [each for each in view.trials if each.verdict] if view else []
        return trials[-1] if trials else None

    def _claim(
        self, text: str, author: str, episode: str, trial: TrialView | None, at: float
    ) -> Claim:
        """A text with its evidence; about a trial's scheduler only if it mentions it."""
        line = one_line(text)
        if trial is None or trial.verdict is None:
            found = LessonEvidence(at, episode) if episode else None
            return Claim(line, at, author, evidence=found)
        view = self._history_writer.episode_view(trial.episode)
        tags = tuple(view.profile.tags) if view and view.profile else ()
        spoken = _speaks_of(line, trial)
        kept = trial.verdict.decision is Decision.KEEP
        says = (Says.BETTER if kept else Says.WORSE) if spoken else Says.NOTHING
        about = trial.scheduler if spoken else ""
        return Claim(
            line,
            at,
            author,
            about,
            tags,
            says,
            _evidence(trial),
            one_line(shape(trial.policy)) if spoken and trial.policy else "",
            one_line(trial.objective, LONGEST_SAID),
        )

    # ------------------------------------------------------------ reading

    def all(self) -> list[Lesson]:
        """All lessons, including those that wait for the file."""
        if self._refresh():
            self._drain()
        lessons = list(self._known)
        if self._waiting:
            for claim in self._held():
                lessons, _ = learned(lessons, claim)
        return lessons

    def views(self) -> list[LessonView]:
        return views_of(self.all())


def views_of(lessons: Iterable[Lesson]) -> list[LessonView]:
    """The latest first."""
    return [view_of(each) for each in sorted(lessons, key=lambda each: -each.latest)]


def view_of(lesson: Lesson) -> LessonView:
    evidence = [
        EvidenceView(
            at=each.at,
            episode=each.episode,
            trial=each.trial,
            said=displayable(each.said if each.supports else f"against: {each.said}"),
        )
        for each in lesson.evidence
    ]
    return LessonView(
        text=displayable(lesson.text, 600),
        episode=next((each.episode for each in reversed(evidence) if each.episode), ""),
        at=lesson.latest,
        author=lesson.author,
        about=lesson.about,
        tags=list(lesson.tags),
        confirmed=lesson.confirmed,
        contradicted=lesson.contradicted,
        weakened=lesson.weakened,
        policy=displayable(lesson.policy, 500),
        objective=displayable(lesson.objective),
        weight=lesson.weight,
        evidence=evidence,
    )


def _speaks_of(line: str, trial: TrialView) -> bool:
    """Whether a lesson is about the tried scheduler: it has its name, or a policy's text."""
    if re.search(rf"(?<![\w-]){re.escape(trial.scheduler)}(?![\w-])", line):
        return True
    texts = {trial.policy, shape(trial.policy)} if trial.policy else set()
    return any(_squeezed(text) in _squeezed(line) for text in texts)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _evidence(trial: TrialView) -> LessonEvidence:
    verdict = trial.verdict
    said = trial.reason
    if verdict is not None:
        found = outcome(verdict, trial.direction)
        said = f"{verdict.decision.value}: {trial.objective} {found}"
    return LessonEvidence(
        trial.ended or trial.at, trial.episode, trial.id, one_line(said, LONGEST_SAID)
    )


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
