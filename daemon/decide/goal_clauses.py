# SPDX-License-Identifier: GPL-2.0-or-later
"""Splits a sentence into clauses: each wants one thing, for one or several workloads. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from daemon.decide.goal_names import Masked, Mention
from daemon.decide.goal_reading import ClauseMeaning, read_clause
from daemon.decide.goal_words import Aspect, Will

# Where a new clause begins, whatever comes before it.
_STRONG = re.compile(
    r"[;!?\n]|\.(?=\s|$)|,|\(|\)|:(?=\s)|\s-+\s|—|–|"
    r"\b(?:but|however|whereas|although|though|yet|then|as well as|plus|even if|even when|"
    r"so that|because|"
    r"since|while|whenever|when|during|beside|next to|provided(?: that)?)\b|"
    r"(?<!mind )(?<!care )(?<!matter )(?<!fine )(?<!ok )(?<!even )\bif\b(?! possible)|"
    r"(?=\bwithout\b)|(?=\bwith (?:the same|no|unchanged|at least the same)\b)|"
    r"(?=\bat the same (?!time))|(?=\bnot at (?:the|any) (?:cost|expense|price)\b)|"
    r"(?=\bno matter\b)|"
    r"(?=\bregardless\b)|(?=\bwhatever\b)|"
    r"\bas long as (?=@\d+ (?!likes?|wants?|needs?|takes?|pleases?)|the |no|not )"
)
_COST = re.compile(r"(?=\bat (?:the )?(?:cost|expense|price) of\b)")
_NOT = re.compile(r"\b(?:not|never|without|cannot|no)\b|n't\b")
# Where a clause begins, or where a word is only joined to another.
_WEAK = re.compile(r"\band\b|\bor\b|\bnor\b|&|\+")
_JOINS = frozenset({"and", "or", "nor", "&", "+"})
# Such a clause says when something holds, and contains no wish of its own.
WHEN = frozenset(
    {"because", "since", "while", "whenever", "when", "during", "beside", "next to", "even when"}
)
_FILLER = re.compile(
    r"\b(?:please|thanks?|thank you|hello|hi|i|we|you|want|need|would|like|to|the|a|an|my|our|is|"
    r"are|"
    r"it|that|this|make|get|have|for|of|on|in|at|same|time|also|just|do|be|can|could|so|very|much|"
    r"really|as|all|with|me|us|if|possible|now|again|today|both|either)\b|[^a-z@]+"
)
_COMPARES = re.compile(
    r"\b(?:low(?:er)?|less|fewer|more|high(?:er)?|better|shorter|faster|quicker|smoother|no|not|"
    r"reduc\w+|"
    r"improv\w+|increas\w+|cut|down|up|good|should|must)\b|n't\b"
)


@dataclass(frozen=True)
class Clause:
    """A part of a sentence.

    `joint` is what comes before it: "and", "or", a word such as "but", a sign, or nothing.
    """

    text: str
    joint: str
    said: ClauseMeaning
    mentions: tuple[Mention, ...] = ()

    @property
    def rest(self) -> str:
        """Its content beside names and words without information."""
        return _FILLER.sub(" ", re.sub(r"@\d+", " ", self.text)).strip()

    @property
    def written(self) -> str:
        """Its text with the names as they were written."""
        words = iter(each.word for each in self.mentions)
        return re.sub(r"@\d+", lambda _: next(words, "…"), self.text)

    @property
    def bare(self) -> bool:
        """Whether it names its subject without saying what is wanted."""
        return (
            self.said.will is Will.IMPROVE
            and self.said.aspects not in ((), (Aspect.ANY,))
            and len(re.findall(r"[a-z-]+", self.rest)) <= 2
            and not (self.said.limit or self.said.rate)
            and not _COMPARES.search(self.text)
        )


def clauses(masked: Masked) -> list[Clause]:
    """The clauses of a sentence in their order."""
    found: list[Clause] = []

    def add(text: str, joint: str) -> None:
        if text := text.strip():
            named = tuple(masked.mentions[int(each)] for each in re.findall(r"@(\d+)", text))
            found.append(Clause(text, joint, read_clause(text), named))

    joint, at = "", 0
    for match in [*_borders(masked.text), None]:
        part = masked.text[at : match.start() if match else len(masked.text)]
        inner, begin = joint, 0
        for weak in [*_WEAK.finditer(part), None]:
            add(part[begin : weak.start() if weak else len(part)], inner)
            if weak:
                inner, begin = weak[0], weak.end()
        if match:
            joint, at = match[0].strip() or joint, match.end()
    return _after_and(_before_and(_with_limits(found)))


def _borders(text: str) -> Iterator[re.Match[str]]:
    """Where new clauses begin. "at the cost of" separates the wish from its cost."""
    found = list(_STRONG.finditer(text))
    if (cost := _COST.search(text)) and not _NOT.search(text[: cost.start()]):
        found.append(cost)
    return iter(sorted(found, key=lambda each: each.start()))


def _with_limits(found: list[Clause]) -> list[Clause]:
    """A limit alone belongs to the text before it: "lower latency, below 20 ms"."""
    made: list[Clause] = []
    for here in found:
        said = here.said
        limits = (
            said.will is None and not here.mentions and (said.limit or said.rate or said.quantile)
        )
        if limits and made and made[-1].said.will is Will.IMPROVE:
            text = f"{made[-1].text} {here.text}"
            made[-1] = replace(made[-1], text=text, said=read_clause(text))
        else:
            made.append(here)
    return made


def _before_and(found: list[Clause]) -> list[Clause]:
    """A subject or an aspect alone shares the will of the next clause:

    "the backup and the build must go on", "latency and throughput do not matter".
    """
    made = list(found)
    for index in range(len(made) - 2, -1, -1):
        here, after = made[index], made[index + 1]
        if after.joint not in _JOINS | {",", ":"} or after.said.will is None:
            continue
        alone = here.said.will is None and here.mentions and not here.rest
        if alone and here.joint not in WHEN:
            both = replace(after, mentions=here.mentions + after.mentions, joint=here.joint)
            made[index : index + 2] = [replace(both, text=f"{here.text} and {after.text}")]
        elif (
            here.bare
            and after.said.aspects
            and after.said.will is not Will.IMPROVE
            and not after.said.leads
        ):
            made[index] = replace(here, said=replace(here.said, will=after.said.will))
    return made


def _after_and(found: list[Clause]) -> list[Clause]:
    """The same with the will first: "without hurting the backup or the build", "not at the cost of
    throughput or fairness"."""
    made = list(found)
    for index in range(1, len(made)):
        here, before = made[index], made[index - 1]
        if here.joint not in _JOINS or before.said.will in (None, Will.IMPROVE):
            continue
        aspect = here.bare and before.said.leads
        subject = here.said.will is None and here.mentions and before.mentions and not here.rest
        if aspect or subject:
            made[index] = replace(here, said=replace(here.said, will=before.said.will))
    return made
