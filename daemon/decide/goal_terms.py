# SPDX-License-Identifier: GPL-2.0-or-later
"""The wishes for one workload, as terms of an objective. Pure."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.api.display import displayable
from daemon.api.models import ProgramKind as Kind
from daemon.decide.goal_reading import ClauseMeaning
from daemon.decide.goal_words import COMPLAINT, GENERIC, MANY, Aspect
from daemon.understanding.rules import BATCHES, FOR_PEOPLE, SERVERS

# Kinds that may turn out to be any other.
OPEN = frozenset(
    {
        Kind.UNKNOWN,
        Kind.LANGUAGE_RUNTIME,
        Kind.SYSTEM_SERVICE,
        Kind.LOAD_GENERATOR,
        Kind.CONTAINER_RUNTIME,
        Kind.VIRTUAL_MACHINE,
    }
)
# How much worse the other figures of a workload may become for its objective, per cent.
OWN = 5.0
# How much of a name or a clause is quoted, characters.
_QUOTED = 60


@dataclass(frozen=True)
class GoalInterpretation:
    """One way to understand a goal. `said` has it in words; `workload` if it is about
    another one.
    """

    objective: str
    said: str
    workload: str = ""


class Unclear(Exception):
    """A question has to be asked; `readings` are answers to it."""

    def __init__(self, question: str, readings: Iterable[GoalInterpretation] = ()) -> None:
        super().__init__(question)
        self.readings = tuple(readings)


@dataclass(frozen=True)
class SubjectWish:
    """The wish for one subject:

    `ids`, `others`, or (neither) the workload that the goal is about. `words` and `kinds` are how
    the subject was called; `written` is the clause with names, and `text` without.
    """

    said: ClauseMeaning
    text: str
    written: str
    ids: tuple[str, ...] = ()
    others: bool = False
    words: tuple[str, ...] = ()
    kinds: frozenset[Kind] = frozenset()


def term(aspect: Aspect, wish: SubjectWish, kind: Kind, measured: Sequence[str]) -> str:
    """The wish for one aspect, as a term of an objective.

    Raises:
        Unclear: it may be two things, or nothing fits.
    """
    said = wish.said
    match aspect:
        case Aspect.RESPONSE:
            return _measured(f"response {said.quantile or 'p99'}", "lower", said.limit)
        case Aspect.DELAY:
            return _measured(f"delay {said.quantile or 'p99'}", "lower", said.limit)
        case Aspect.COMPLETIONS:
            return _measured("completions", "higher", said.rate)
        case Aspect.CPU:
            return "cpu higher"
        case Aspect.FINISH:
            return _finish(wish, kind)
        case Aspect.FRAMES:
            return _frames(wish, measured)
        case _:
            return _by_kind(wish, kind)


def _finish(wish: SubjectWish, kind: Kind) -> str:
    said = wish.said
    if re.search(r"\b(?:requests?|queries|query|pages?|transactions?|calls?)\b", wish.text):
        return _measured(f"response {said.quantile or 'p99'}", "lower", said.limit)
    each = f"turnaround {said.quantile or 'mean'}"
    if said.of == "each" or said.quantile:
        return _measured(each, "lower", said.limit)
    many = MANY & set(wish.words) or re.search(r"\btasks\b", wish.text)
    if many and said.of != "all" and not re.search(r"per-(?:hour|minute)", wish.text):
        raise Unclear(
            "jobs that finish sooner: each of them, or all of them?",
            [
                GoalInterpretation(
                    _measured(each, "lower", said.limit), "each job is done sooner, on average"
                ),
                GoalInterpretation(
                    _measured("makespan", "lower", said.limit),
                    "the last of them is done sooner",
                ),
            ],
        )
    if kind in SERVERS | FOR_PEOPLE and not wish.kinds & BATCHES and said.of != "all":
        raise Unclear(
            f"it is {_article(kind)}, which does not finish: what is to be done sooner?",
            suggested(kind, set()),
        )
    return _measured("makespan", "lower", said.limit)


def _frames(wish: SubjectWish, measured: Sequence[str]) -> str:
    name = next((each for each in measured if re.search(r"fps|frame[_.-]?rate|frames", each)), "")
    if name:
        limit = wish.said.rate.removesuffix("/s")
        return f"measurement {name} higher {limit}".rstrip()
    raise Unclear(
        "frames are counted by the program alone, and no measurement here has them (MangoHud's log "
        "does); what its threads show is",
        [
            GoalInterpretation("response p99 lower", "no frame is late"),
            GoalInterpretation("completions higher", "its threads get more done in a second"),
        ],
    )


def _by_kind(wish: SubjectWish, kind: Kind) -> str:
    """ "faster" and "better" mean whatever suits the kind of workload."""
    kinds = {kind} if kind not in OPEN else wish.kinds or {kind}
    if kinds <= FOR_PEOPLE:
        return "response p99 lower"
    if kinds <= BATCHES:
        return "makespan lower"
    if kinds <= SERVERS:
        if COMPLAINT.search(wish.text) or GENERIC.search(wish.text):
            return "response p99 lower"
        raise Unclear(
            f"faster may be two things for {_article(kind)}: an answer comes sooner, or it "
            "answers more in a second",
            suggested(kind, {Aspect.FINISH}),
        )
    raise Unclear(
        "it is not known what this workload does: what is to become better?",
        suggested(kind, set()),
    )


def suggested(kind: Kind, ignored: set[Aspect]) -> list[GoalInterpretation]:
    """The readings that suit the kind of workload, the likeliest first."""
    readings = [
        (Aspect.RESPONSE, GoalInterpretation("response p99 lower; completions not worse than 5%",
                                  "it answers sooner, also at the worst of times")),
        (Aspect.COMPLETIONS, GoalInterpretation("completions higher",
                                  "it gets more done in a second")),
        (Aspect.FINISH, GoalInterpretation("makespan lower", "all of its work is done sooner")),
    ]  # fmt: skip
    if kind in BATCHES:
        readings.reverse()
    return [reading for aspect, reading in readings if aspect not in ignored]


def guard(aspect: Aspect, said: ClauseMeaning, usual: float) -> str:
    """A figure that may not become worse, as a term. `usual` per cent by default."""
    per_cent = f"not worse than {said.percent or usual:g}%"
    match aspect:
        case Aspect.RESPONSE | Aspect.FRAMES:
            return f"response {said.quantile or 'p99'} {per_cent}"
        case Aspect.DELAY:
            return f"delay {said.quantile or 'p99'} {per_cent}"
        case Aspect.COMPLETIONS:
            return f"completions {per_cent}"
        case Aspect.FINISH:
            return f"{'turnaround mean' if said.of == 'each' else 'makespan'} {per_cent}"
        case _:
            return f"cpu {per_cent}"


def kept(wish: SubjectWish, improve: Sequence[SubjectWish]) -> list[str]:
    """What the workload itself must keep."""
    aspects = [each for each in wish.said.aspects if each is not Aspect.ANY]
    if not aspects:
        wanted = {aspect for each in improve for aspect in each.said.aspects}
        aspects = [Aspect.COMPLETIONS if Aspect.RESPONSE in wanted else Aspect.RESPONSE]
    return [guard(each, wish.said, OWN) for each in aspects]


def usual_guard(
    kind: Kind, improve: Sequence[SubjectWish], keep: Sequence[SubjectWish], ignored: set[Aspect]
) -> list[str]:
    """Answers that come sooner may not be fewer, for requests, and the other way round."""
    wanted = {aspect for each in [*improve, *keep] for aspect in each.said.aspects} | ignored
    spoken = frozenset().union(*(each.kinds for each in improve))
    if kind in FOR_PEOPLE or (kind in OPEN and spoken & FOR_PEOPLE):
        return []
    answers = wanted - {Aspect.ANY, Aspect.FAIRNESS} <= {Aspect.RESPONSE, Aspect.DELAY}
    if answers and (Aspect.RESPONSE in wanted or kind in SERVERS):
        return ["completions not worse than 5%"]
    if wanted - {Aspect.FAIRNESS} == {Aspect.COMPLETIONS} and kind in SERVERS:
        return ["response p99 not worse than 20%"]
    return []


def _measured(what: str, better: str, limit: str) -> str:
    return f"{what} {limit or better}"


def one_of_each(terms: list[str]) -> list[str]:
    """A term with a limit includes the same term without one."""
    limited = {" ".join(each.split()[:-2]) for each in terms if re.search(r"[<>] ", each)}
    return [
        each
        for each in terms
        if re.search(r"[<>] ", each) or each.rpartition(" ")[0] not in limited
    ]


def figure_of(term: str) -> str:
    """The metric of a term that was made here: without direction, limit and tolerance."""
    return re.sub(r" (?:lower|higher|not worse than .*|[<>] .*)$", "", term)


def merged(guards: Sequence[str]) -> list[str]:
    """One guard for each figure, with the widest tolerance."""
    found: dict[str, str] = {}
    for text in guards:
        figure = figure_of(text)
        if figure not in found or _per_cent(text) > _per_cent(found[figure]):
            found[figure] = text
    return list(found.values())


def _per_cent(guard: str) -> float:
    return float(guard.rpartition(" ")[2].removesuffix("%"))


def _article(kind: Kind) -> str:
    word = kind.value.replace("-", " ")
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def quoted(text: str) -> str:
    """Hostile text, as quoted in our sentences."""
    return f"'{displayable(text, _QUOTED)}'"
