# SPDX-License-Identifier: GPL-2.0-or-later
"""A program's purpose, from its name, arguments and context, with the reason. Pure.

Anybody can name a process `postgres`. Facts from the kernel (the executed file) count as sure, the
process's own text (its name and arguments) as likely at most, and hints from others (its parent,
its unit, its behaviour) as a guess.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from daemon.api.display import displayable
from daemon.api.models import Certainty, KindView, ProgramKind
from daemon.understanding.cgroups import unit_of
from daemon.understanding.proc import Process
from daemon.understanding.rules import (
    BATCHES,
    BY_ARGUMENTS,
    BY_LIBRARY,
    BY_NAME,
    FOR_PEOPLE,
    SERVERS,
    SHELLS,
    WRAPPERS,
)
from scheduler_library.profile import Tag
from scheduler_library.purpose import Purpose, PurposeEvidence, PurposeSource

# How much of a command line is read, characters, and how much of a name is quoted.
_LOOKED_AT = 1024
_QUOTED = 40
MOST_KINDS = 4
MOST_EVIDENCE = 3
_RANK = {Certainty.SURE: 0, Certainty.LIKELY: 1, Certainty.GUESS: 2}
# Kinds that say how a program is run rather than what it is for: its context may say more.
WEAK = frozenset({ProgramKind.UNKNOWN, ProgramKind.LANGUAGE_RUNTIME})
# Kinds that start programs of every other kind: their children's kinds are independent.
_HOSTS = frozenset(
    {
        ProgramKind.INTERACTIVE,
        ProgramKind.SYSTEM_SERVICE,
        ProgramKind.CONTAINER_RUNTIME,
        ProgramKind.KERNEL,
    }
)


@dataclass(frozen=True)
class JudgedProcess:
    """One process's kind, and why."""

    kind: ProgramKind = ProgramKind.UNKNOWN
    certainty: Certainty = Certainty.GUESS
    evidence: str = ""


UNKNOWN = JudgedProcess()


@dataclass(frozen=True)
class _ProgramNames:
    whole: Mapping[str, ProgramKind]
    beginnings: tuple[tuple[str, ProgramKind], ...] = field(default=())

    def of(self, name: str) -> ProgramKind | None:
        found = self.whole.get(name)
        if found is None:
            found = next((kind for part, kind in self.beginnings if name.startswith(part)), None)
        return found


def _named(lines: Iterable[tuple[ProgramKind, str]]) -> _ProgramNames:
    whole: dict[str, ProgramKind] = {}
    beginnings = []
    for kind, names in lines:
        for name in names.split():
            if name.endswith("*"):
                beginnings.append((name[:-1], kind))
            else:
                whole.setdefault(name, kind)
    return _ProgramNames(whole, tuple(beginnings))


_NAMES = _named(BY_NAME)
_PATTERNS = tuple(
    (frozenset(rule.programs.split()), re.compile(rule.pattern), rule) for rule in BY_ARGUMENTS
)
_PLAIN = re.compile(r"(?:-\d[\d.]*|(?<=[a-z])\d+(?:\.\d+)*)$")


def plain_name(name: str) -> str:
    """A program's name without its version: `clang-19` is `clang`, `python3.13` is `python`."""
    return name if _NAMES.of(name) is not None else _PLAIN.sub("", name)


def judged(process: Process) -> JudgedProcess:
    """One process's kind on its own."""
    if process.stat.kernel_thread:
        return JudgedProcess(ProgramKind.KERNEL, Certainty.SURE, "a kernel thread")
    words = _without_wrappers(process.arguments)
    first = words[0].rpartition("/")[2].removeprefix("-").removesuffix(":") if words else ""
    wrapped = len(words) < len(process.arguments)
    line = " ".join([first, *words[1:]])[:_LOOKED_AT]
    executed = plain_name(process.program)
    if executed and not wrapped and (found := _by_name(executed, line, Certainty.SURE)):
        return found
    # Its own name for itself; services write `postgres: writer` over their arguments.
    for name in (first.partition(":")[0], process.stat.comm):
        if found := _by_name(plain_name(name), line, Certainty.LIKELY):
            return found
    if re.search(r"\.test$", first) and "-test." in line:
        return JudgedProcess(ProgramKind.TEST_SUITE, Certainty.LIKELY, "a compiled Go test")
    interactive = process.stat.terminal != 0 and len(words) <= 1
    if plain_name(first or process.stat.comm) in SHELLS and interactive:
        return JudgedProcess(ProgramKind.INTERACTIVE, Certainty.LIKELY, "a shell on a terminal")
    return UNKNOWN


def _by_name(name: str, line: str, certainty: Certainty) -> JudgedProcess | None:
    """By a program's plain name and its command line; arguments are never more than likely."""
    for programs, pattern, rule in _PATTERNS:
        if name in programs and (match := pattern.search(line)):
            quoted = displayable(match[0].strip(), _QUOTED)
            return JudgedProcess(
                rule.kind, Certainty.LIKELY, f"{rule.why}: {name} with {quoted!r} among arguments"
            )
    kind = _NAMES.of(name)
    if kind is None:
        return None
    said = "the program is" if certainty is Certainty.SURE else "it calls itself"
    return JudgedProcess(kind, certainty, f"{said} {displayable(name, _QUOTED)!r}")


def _without_wrappers(arguments: Sequence[str]) -> Sequence[str]:
    """The program that `env`, `nice`, `timeout` and similar ones run, if that is visible."""
    words = list(arguments)
    while words and plain_name(words[0].rpartition("/")[2]) in WRAPPERS:
        rest = words[1:]
        while rest and (rest[0].startswith("-") or "=" in rest[0] or rest[0][:1].isdigit()):
            rest = rest[1:]
        if not rest:
            break
        words = rest
    return words


def with_company(
    by_itself: Mapping[int, JudgedProcess], parents: Mapping[int, int]
) -> dict[int, JudgedProcess]:
    """Programs without a kind of their own (a shell below `make`) get that of the program that
    started them.
    """
    known = dict(by_itself)
    # Children have higher ids than their parents, except those that began after ids wrapped.
    for pid in sorted(known):
        above = known.get(parents.get(pid, 0))
        if known[pid].kind in WEAK and above and above.kind not in WEAK | _HOSTS:
            known[pid] = JudgedProcess(
                above.kind, Certainty.GUESS, f"started by {above.evidence}"[:200]
            )
    return known


def by_libraries(libraries: Set[str]) -> JudgedProcess:
    """A language runtime's kind, by its loaded libraries."""
    for kind, beginning, what in BY_LIBRARY:
        name = next((each for each in sorted(libraries) if each.startswith(beginning)), None)
        if name is not None:
            quoted = displayable(name, _QUOTED)
            return JudgedProcess(kind, Certainty.GUESS, f"has {what} loaded ({quoted})")
    return UNKNOWN


def by_company(unit: str, started_by: Sequence[str], tags: Iterable[str]) -> JudgedProcess:
    """Hints from the names around a workload, and from its behaviour."""
    stem = re.split(r"[@.:]", unit)[0]
    if stem and (kind := _NAMES.of(plain_name(stem))):
        return JudgedProcess(
            kind, Certainty.GUESS, f"its unit is called {displayable(stem, _QUOTED)!r}"
        )
    for name in started_by:
        kind = _NAMES.of(plain_name(name))
        if kind in (ProgramKind.BUILD, ProgramKind.TEST_SUITE):
            return JudgedProcess(
                kind, Certainty.GUESS, f"started by {displayable(name, _QUOTED)!r}"
            )
    have = set(tags)
    if Tag.INTERACTIVE in have:
        return JudgedProcess(
            ProgramKind.INTERACTIVE, Certainty.GUESS, "wakes now and then, briefly"
        )
    if Tag.BATCH in have:
        return JudgedProcess(ProgramKind.BATCH, Certainty.GUESS, "runs long, hardly sleeps")
    return UNKNOWN


def by_id(workload: str) -> JudgedProcess:
    """The kind by a workload's name alone: of its command, or of its unit."""
    kind, _, name = workload.partition(":")
    if kind == "kthread":
        return JudgedProcess(ProgramKind.KERNEL, Certainty.SURE, "a kernel thread")
    if kind == "comm":
        plain = plain_name(name)
        known = _NAMES.of(plain)
        if known is None:
            return UNKNOWN
        return JudgedProcess(
            known, Certainty.LIKELY, f"it calls itself {displayable(plain, _QUOTED)!r}"
        )
    if kind == "cgroup":
        return by_company(unit_of(name.encode("utf-8", "replace")), (), ())
    return UNKNOWN


def says(kind: KindView) -> PurposeEvidence | None:
    """The figure that counts for a kind of program; None if it has none."""
    if kind.kind in SERVERS | FOR_PEOPLE:
        purpose = Purpose.LATENCY
    elif kind.kind in BATCHES:
        purpose = Purpose.THROUGHPUT
    else:
        return None
    why = f"{kind.evidence[0]}, " if kind.evidence else ""
    return PurposeEvidence(
        purpose,
        PurposeSource.PROGRAM,
        f"{why}of kind {kind.kind.value}",
        kind.certainty.value,
        serves=kind.kind in SERVERS,
    )


def summed_up(judgements: Iterable[tuple[JudgedProcess, float]]) -> list[KindView]:
    """The kinds of a workload from those of its processes, each with its part of the CPU time (or
    of the processes, if none ran), largest first; the unknown part comes last.
    """
    weights: dict[ProgramKind, float] = defaultdict(float)
    certainty: dict[ProgramKind, Certainty] = {}
    evidence: dict[ProgramKind, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for judged_as, weight in judgements:
        kind = judged_as.kind
        weights[kind] += weight
        best = min((certainty.get(kind, Certainty.GUESS), judged_as.certainty), key=_RANK.get)  # type: ignore[arg-type]
        certainty[kind] = best
        if judged_as.evidence:
            evidence[kind][judged_as.evidence] += weight
    total = sum(weights.values()) or 1.0
    order = sorted(
        weights, key=lambda kind: (kind is ProgramKind.UNKNOWN, -weights[kind], kind.value)
    )
    return [
        KindView(
            kind=kind,
            certainty=certainty[kind],
            share=round(weights[kind] / total, 3),
            evidence=sorted(evidence[kind], key=lambda text: -evidence[kind][text])[:MOST_EVIDENCE],
        )
        for kind in order[:MOST_KINDS]
    ]
