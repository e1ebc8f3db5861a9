# SPDX-License-Identifier: GPL-2.0-or-later
"""From a person's wish in words to an objective and guards; or to a question. Pure.

    typing must not lag, the backup may take as long as it likes, but must still go on
    editor: `response p99 lower`; guard of comm:backup: `cpu not worse than 75%`

A sentence is cut into clauses. Each says which workload it is about (`goal_names`), which aspect,
and what is wanted (`goal_words`). Together they become the words of `objective`. If nothing fits,
if two readings are equally near, or if a clause that forbids something is not understood, the
answer is a question with the possible readings: never the nearest guess.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from daemon.api.models import ProgramKind as Kind
from daemon.decide.goal_clauses import clauses
from daemon.decide.goal_names import Present, mask
from daemon.decide.goal_reading import ClauseMeaning
from daemon.decide.goal_subjects import Subjects
from daemon.decide.goal_terms import (
    GoalInterpretation,
    SubjectWish,
    Unclear,
    figure_of,
    guard,
    kept,
    merged,
    one_of_each,
    quoted,
    suggested,
    term,
    usual_guard,
)
from daemon.decide.goal_words import Aspect, Will
from daemon.decide.objective import parse_objective
from daemon.understanding.rules import FOR_PEOPLE, SERVERS
from process import Fault

# How much worse another workload may be served, per cent: one that must not suffer, one that must
# go on, and one that may take as long as it likes.
OTHERS = 10.0
GOES_ON = 50.0
AS_LONG_AS_IT_LIKES = 75.0

__all__ = ["GoalGuard", "GoalInterpretation", "Present", "UnderstoodGoal", "understand"]


@dataclass(frozen=True)
class GoalGuard:
    """The guarded figure of another workload, as objective text."""

    workload: str
    text: str


@dataclass(frozen=True)
class UnderstoodGoal:
    """The meaning of a goal.

    With a `question` the rest is what is known so far; `readings` are answers to it. `notes` are
    what a person should know about the interpretation.
    """

    workload: str
    objective: str = ""
    guards: tuple[GoalGuard, ...] = ()
    notes: tuple[str, ...] = ()
    question: str = ""
    readings: tuple[GoalInterpretation, ...] = ()


@dataclass
class _Goal:
    """One goal while it is parsed."""

    subjects: Subjects
    measured: Sequence[str]

    def choose(self, wishes: Sequence[SubjectWish]) -> str:
        """The workload that should become better, if nobody said which."""
        wanted = [each for each in wishes if each.said.will in (Will.IMPROVE, Will.WORSEN)]
        # "must stay smooth" is a wish if there is no other.
        wanted = wanted or [each for each in wishes if each.said.low or each.said.limit]
        named = tuple(dict.fromkeys(id for each in wanted for id in each.ids))
        if len(named) == 1:
            return named[0]
        if len(named) > 1:
            raise Unclear(
                "one workload's objective decides a trial; which is it, and what of the others is "
                f"guarded: {', '.join(quoted(each) for each in named)}?",
                self._each(wanted),
            )
        guarded = {id for each in wishes for id in each.ids}
        free = [each for each in self.subjects.of_people if each.id not in guarded]
        kinds = frozenset().union(*(each.kinds for each in wanted))
        if (wanted or not wishes) and len(free) == 1 and not kinds:
            return free[0].id
        raise Unclear(
            "which workload is it about? "
            + (self.subjects.there() or "nothing has been seen yet")
            + " (--workload ID)"
        )

    def _each(self, wanted: Sequence[SubjectWish]) -> list[GoalInterpretation]:
        readings = []
        for wish in wanted:
            for id in wish.ids:
                main, self.subjects.main = self.subjects.main, id
                try:
                    text = self._terms([replace(wish, ids=())])
                    readings.append(
                        GoalInterpretation("; ".join(text), f"{quoted(id)} decides", id)
                    )
                except Unclear:
                    pass
                finally:
                    self.subjects.main = main
        return readings

    def objective(self, wishes: Sequence[SubjectWish]) -> str:
        """The objective of the workload that the goal is about."""
        own = [each for each in wishes if not each.ids and not each.others]
        for each in own:
            if each.said.will is Will.WORSEN:
                raise Unclear(f"{quoted(each.written)} asks for something worse; is that meant?")
        improve = [each for each in own if each.said.will is Will.IMPROVE]
        keep = [each for each in own if each.said.will is Will.KEEP]
        ignored = {
            aspect for each in own if each.said.will is Will.IGNORE for aspect in each.said.aspects
        }
        if any(each.said.will is Will.IGNORE and not each.said.aspects for each in own) and improve:
            raise Unclear("it is to become better, and does not matter: which of them holds?")
        # A figure that should be kept under a limit is an objective, and so is one that should be
        # kept low if nothing else is wanted.
        low = [
            each
            for each in keep
            if each.said.limit or each.said.rate or (each.said.low and not improve)
        ]
        keep = [each for each in keep if each not in low]
        improve += low
        twice = [
            aspect
            for each in improve
            for aspect in each.said.aspects
            if aspect in ignored - {Aspect.ANY}
        ]
        if twice:
            raise Unclear(f"{twice[0].value} is wanted, and does not matter: which of them holds?")
        terms = self._terms(improve)
        if not terms:
            raise self._nothing(wishes, keep, ignored)
        guards = [text for each in keep for text in kept(each, improve)]
        guards += usual_guard(self.kind, improve, keep, ignored)
        # A figure that should become better needs no guard as well.
        figures = {figure_of(each) for each in terms}
        return "; ".join(
            [*terms, *(each for each in merged(guards) if figure_of(each) not in figures)]
        )

    def _nothing(
        self, wishes: Sequence[SubjectWish], keep: Sequence[SubjectWish], ignored: set[Aspect]
    ) -> Unclear:
        what = "nothing in it says what is to become better"
        if keep or ignored or any(each.ids or each.others for each in wishes):
            what = (
                "it says what must not suffer or does not matter, and not what is to become better"
            )
        return Unclear(what, suggested(self.kind, ignored))

    def _terms(self, improve: Sequence[SubjectWish]) -> list[str]:
        terms: list[str] = []
        asked_fair = False
        for wish in improve:
            if wish.said.gain:
                self.subjects.notes.append(
                    f"{quoted(wish.said.gain)} is no limit that a trial checks: what is better "
                    f"for certain "
                    "is kept, and by how much is told"
                )
            for aspect in wish.said.aspects:
                if aspect is Aspect.FAIRNESS:
                    asked_fair = True
                elif (text := term(aspect, wish, self.kind, self.measured)) not in terms:
                    terms.append(text)
        if asked_fair and not terms:
            raise Unclear(
                "fairness is no objective by itself: a trial is judged by what a workload gets",
                [
                    GoalInterpretation("cpu higher", "it gets more CPU time; others are guarded"),
                    GoalInterpretation(
                        "response p99 lower", "it answers sooner; others are guarded"
                    ),
                ],
            )
        if asked_fair:
            self.subjects.notes.append("fairness: what others get is guarded in every trial")
        return one_of_each(terms)

    def guards(self, wishes: Sequence[SubjectWish]) -> tuple[GoalGuard, ...]:
        """The guarded figures of the other named workloads."""
        texts: dict[str, list[str]] = {}
        loose = {
            id
            for each in wishes
            for id in each.ids
            if each.said.will is Will.IGNORE and not _starving(each.text)
        }
        stopped = {
            id
            for each in wishes
            for id in each.ids
            if each.said.will is Will.IGNORE and _starving(each.text)
        }
        for wish in wishes:
            if wish.others:
                self._about_others(wish)
                continue
            for id in wish.ids:
                if id == self.subjects.main or id in stopped:
                    continue
                for text in self._guards_of(id, wish, loose):
                    if text not in texts.setdefault(id, []):
                        texts[id].append(text)
        for id in sorted(stopped - {self.subjects.main}):
            self.subjects.notes.append(f"{quoted(id)} may stop: it has no guard of its own")
        return tuple(GoalGuard(id, text) for id, each in texts.items() for text in merged(each))

    def _guards_of(self, id: str, wish: SubjectWish, loose: set[str]) -> list[str]:
        said = wish.said
        kind = self.subjects.kind(id)
        unmeasured = {Aspect.ANY, Aspect.FAIRNESS}
        aspects = [each for each in said.aspects if each not in unmeasured]
        if said.will is Will.IGNORE:
            # "may take longer" is about its end, and it should still go on.
            aspects = [each for each in aspects if each is not Aspect.FINISH]
        match said.will:
            case Will.IMPROVE:
                self.subjects.notes.append(
                    f"{quoted(id)} is guarded and not made better: one workload's objective decides"
                )
                return [guard(each, said, OTHERS) for each in aspects or [_of_kind(kind)]]
            case Will.KEEP:
                return [guard(each, said, OTHERS) for each in aspects or [_of_kind(kind)]]
            case Will.GO_ON:
                usual = AS_LONG_AS_IT_LIKES if id in loose else GOES_ON
                return [guard(_going(kind), said, usual)]
            case Will.IGNORE if not aspects:
                return [guard(_going(kind), ClauseMeaning(), AS_LONG_AS_IT_LIKES)]
            case Will.IGNORE:
                self.subjects.notes.append(f"{aspects[0].value} of {quoted(id)} does not count")
                return []
            case _:
                raise Unclear(f"{quoted(wish.written)} asks for something worse; is that meant?")

    def _about_others(self, wish: SubjectWish) -> None:
        if wish.said.will is Will.IMPROVE and wish.said.aspects:
            raise Unclear(
                "one workload's objective decides a trial; which one is to become better?"
            )
        if wish.said.will is Will.IGNORE:
            raise Unclear("what others get is guarded in every trial; which one may become worse?")
        self.subjects.notes.append("what others get is guarded in every trial")

    @property
    def kind(self) -> Kind:
        """Guards for the workload that the goal is about."""
        return self.subjects.kind(self.subjects.main)


def _of_kind(kind: Kind) -> Aspect:
    """The figure that counts for a workload about which nothing more was said."""
    if kind in SERVERS | FOR_PEOPLE:
        return Aspect.RESPONSE
    return Aspect.CPU


def _going(kind: Kind) -> Aspect:
    """The figure that shows that a workload goes on."""
    return Aspect.COMPLETIONS if kind in SERVERS else Aspect.CPU


def _starving(text: str) -> bool:
    return re.search(r"\b(?:starv|stop|paus|die\b|kill|stand)", text) is not None


def _as_objective(goal: str) -> str:
    """A goal that is an objective already, or contains one in backticks; else empty."""
    for text in (goal.strip(), *re.findall(r"`([^`]+)`", goal)):
        try:
            parse_objective(text)
        except Fault:
            continue
        return str(text).strip()
    return ""


def understand(
    goal: str,
    present: Sequence[Present],
    workload: str = "",
    measured: Sequence[str] = (),
) -> UnderstoodGoal:
    """The meaning of a person's sentence for the existing workloads.

    Args:
        goal: in English; small typing errors do not matter.
        present: the existing workloads.
        workload: the one it is about, if given beside the sentence.
        measured: the names of the existing measurements.
    """
    subjects = Subjects(present, workload)
    reader = _Goal(subjects, measured)
    objective = ""
    guards: tuple[GoalGuard, ...] = ()
    question = ""
    readings: tuple[GoalInterpretation, ...] = ()
    try:
        if objective := _as_objective(goal):
            subjects.main = workload or reader.choose([])
        else:
            wishes = subjects.wishes(clauses(mask(goal, present)))
            if not workload:
                subjects.main = reader.choose(wishes)
                # Statements about it by name apply to the workload that the goal is about.
                wishes = [
                    replace(each, ids=()) if each.ids == (subjects.main,) else each
                    for each in wishes
                ]
            guards = reader.guards(wishes)
            objective = reader.objective(wishes)
    except Unclear as unclear:
        question, readings = str(unclear), unclear.readings
    notes = tuple(dict.fromkeys(subjects.notes))
    return UnderstoodGoal(subjects.main, objective, guards, notes, question, readings)
