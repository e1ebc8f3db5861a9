# SPDX-License-Identifier: GPL-2.0-or-later
"""The subject of each clause: the workload of the goal, another one, or all others. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from daemon.api.models import ProgramKind as Kind
from daemon.decide.goal_clauses import WHEN, Clause
from daemon.decide.goal_names import CalledBy, Mention, Present
from daemon.decide.goal_reading import ClauseMeaning, read_clause
from daemon.decide.goal_terms import OPEN, SubjectWish, Unclear, quoted
from daemon.decide.goal_words import PRONOUN, Aspect, Will
from daemon.understanding.rules import BATCHES

# Up to this many workloads with one name are all meant and guarded; if there are more, a question
# is asked.
MOST_GUARDED = 4
# How many are named in a question.
MOST_NAMED = 8
# Clauses with these words may not be ignored if they are not understood.
_BINDING = re.compile(
    r"\b(?:must|should|shall|may|only|never|not|no|unless|except|cannot|can't|don't|won't|always|"
    r"limit|less|more|under|below|above|over|without)\b|(?<!@)\d"
)
_BEYOND = re.compile(
    r"\b(?:power|battery|energy|heat|hot|temperatures?|fans?|noise|memory|ram|swap|disk|storage|"
    r"network|"
    r"bandwidth|security|gpu)\b"
)
# A subject that no workload has: "the mail server must go on".
_SUBJECT = re.compile(
    r"^(?:and |that |also |still )*(?:the|my|our) (?P<who>[a-z][\w.-]*(?: [a-z][\w.-]*){0,2}?) "
    r"(?:must|should|shall|may|can|could|has to|have to|needs? to|does|do|is|are|will)\b|"
    r"\b(?:starv\w+|hurt\w*|harm\w*|slow\w*(?: down)?|disturb\w*|stop\w*|stall\w*|cost of|"
    r"expense of|"
    r"affect\w*|punish\w*|ignore|about) (?:the|my|our) (?P<whom>[a-z][\w.-]*(?: [a-z][\w.-]*)?)$"
)


@dataclass
class Subjects:
    """The existing workloads, and the one that the goal is about, once that is known."""

    present: Sequence[Present]
    main: str
    notes: list[str] = field(default_factory=list)

    @property
    def of_people(self) -> list[Present]:
        """All except the kernel's own."""
        return [each for each in self.present if each.kind is not Kind.KERNEL]

    def kind(self, id: str) -> Kind:
        return next((each.kind for each in self.present if each.id == id), Kind.UNKNOWN)

    def wishes(self, clauses: Sequence[Clause]) -> list[SubjectWish]:
        found: list[SubjectWish] = []
        last: tuple[Mention, ...] = ()
        for clause in clauses:
            said = clause.said
            mentions = clause.mentions
            if said.will is None:
                if clause.joint not in WHEN:
                    self._left_over(clause)
                elif found:
                    found[-1] = replace(found[-1], kinds=found[-1].kinds | self._absent(mentions))
                last = mentions or last
                continue
            if clause.joint in WHEN and said.will is Will.IMPROVE and said.aspects == (Aspect.ANY,):
                continue
            if clause.joint == "or" and found and said.will is found[-1].said.will is Will.IMPROVE:
                raise Unclear(
                    f"{quoted(found[-1].written)} or {quoted(clause.written)}: which of them?"
                )
            if not mentions:
                self._nobody_unknown(clause)
            elif clause.text.startswith("without") and found and said.will is Will.IMPROVE:
                # "without firefox lagging" does not want anything better for it.
                said = replace(said, will=Will.KEEP)
            follows = not mentions and last
            if follows and (
                (
                    said.will is not Will.IMPROVE
                    and not [each for each in said.aspects if each is not Aspect.ANY]
                )
                or PRONOUN.search(clause.text)
            ):
                mentions = last
            found += self._of(clause, said, mentions)
            last = mentions or last
        return found

    def _absent(self, mentions: Sequence[Mention]) -> frozenset[Kind]:
        """Kinds that people mention but that no workload is known to have: "no lag
        while typing".
        """
        kinds = frozenset(
            kind for each in mentions if each.by is CalledBy.KIND for kind in each.kinds
        )
        return frozenset() if any(each.kind in kinds for each in self.present) else kinds

    def _of(
        self, clause: Clause, said: ClauseMeaning, mentions: tuple[Mention, ...]
    ) -> list[SubjectWish]:
        """A wish for each subject of a clause."""
        if not mentions:
            return [SubjectWish(said, clause.text, clause.written)]
        words = tuple(each.word.lower() for each in mentions)
        kinds = frozenset().union(*(each.kinds for each in mentions))
        own = False
        wishes: list[SubjectWish] = []
        named = [each for each in mentions if each.by in (CalledBy.NAME, CalledBy.UNKNOWN)]
        for mention in mentions:
            if mention.by is CalledBy.OTHERS:
                wishes.append(
                    SubjectWish(said, clause.text, clause.written, others=True, words=words)
                )
                continue
            if mention.by is CalledBy.KIND and named and said.will is Will.IMPROVE:
                # "builds of web": the name says whose.
                continue
            ids = self._meant(mention, said)
            if ids == (self.main,) or ids is None:
                own = True
            elif ids:
                wishes.append(
                    SubjectWish(said, clause.text, clause.written, ids, words=words, kinds=kinds)
                )
        if own:
            wishes.insert(
                0, SubjectWish(said, clause.text, clause.written, words=words, kinds=kinds)
            )
        return wishes

    def _nobody_unknown(self, clause: Clause) -> None:
        """Raises Unclear if another subject is mentioned that does not exist."""
        found = _SUBJECT.search(clause.text)
        if found is None or clause.said.will in (Will.IMPROVE, Will.WORSEN):
            return
        who = found["who"] or found["whom"]
        if not read_clause(who).aspects:
            self._meant(Mention(who, CalledBy.UNKNOWN), clause.said)

    def _meant(self, mention: Mention, said: ClauseMeaning) -> tuple[str, ...] | None:
        """The ids that a mention means; None: the workload that the goal is about; empty: none that
        matters.
        """
        if mention.by is CalledBy.NAME:
            if self.main in mention.ids:
                return (self.main,)
            return self._few(mention, mention.ids, said)
        if mention.by is CalledBy.KIND:
            there = tuple(each.id for each in self.present if each.kind in mention.kinds)
            if self.main and self.main in there:
                return (self.main,)
            if self.main and said.will in (Will.IMPROVE, Will.WORSEN):
                if not there and self.kind(self.main) in OPEN:
                    return None
                if not there and self.kind(self.main) in BATCHES and mention.kinds & BATCHES:
                    return None
            if there:
                return self._few(mention, there, said)
            if not self.main and said.will in (Will.IMPROVE, Will.WORSEN):
                # The question about it comes with all other questions.
                return None
        if said.will is Will.IGNORE:
            self.notes.append(
                f"no workload here is called {quoted(mention.word)}: nothing to guard"
            )
            return ()
        raise Unclear(
            f"no workload here is called {quoted(mention.word)}; "
            + (self.there() or "nothing has been seen yet")
        )

    def _few(self, mention: Mention, ids: tuple[str, ...], said: ClauseMeaning) -> tuple[str, ...]:
        most = 1 if said.will in (Will.IMPROVE, Will.WORSEN) else MOST_GUARDED
        if len(ids) <= most:
            return ids
        raise Unclear(
            f"{quoted(mention.word)} may be {len(ids)} workloads: "
            + ", ".join(quoted(each) for each in ids[:MOST_NAMED])
            + "; which one is meant?",
        )

    def there(self) -> str:
        names = [quoted(each.id) for each in self.of_people][:MOST_NAMED]
        more = len(self.of_people) - len(names)
        return (
            f"there are {', '.join(names)}" + (f" and {more} more" if more else "") if names else ""
        )

    def _left_over(self, clause: Clause) -> None:
        if not clause.rest:
            return
        text = quoted(clause.written)
        if beyond := _BEYOND.search(clause.text):
            raise Unclear(
                f"{text}: no trial measures {beyond[0]} by itself; a number that is posted can be "
                "an objective (`measurement NAME lower`)"
            )
        others = [
            each
            for each in clause.mentions
            if each.by is CalledBy.NAME and self.main not in each.ids
        ]
        if others or _BINDING.search(clause.text):
            raise Unclear(f"{text} is not understood; say it otherwise, or leave it out")
        self.notes.append(f"left aside: {text}")
