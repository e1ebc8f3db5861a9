# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the workloads that a sentence names, and takes them out of it. Pure.

Names come from the system, and anybody may call a process `must not` or `latency`. So a name counts
only if a workload of that name exists, a word of the language only if it is in quotation marks, and
each name is replaced by `@0`, `@1` … before the words are parsed.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from daemon.api.models import ProgramKind as Kind
from daemon.decide.goal_reading import read_clause
from daemon.decide.goal_words import COMPOUNDS, NOUNS, OTHERS, PLAIN, VOCABULARY, words


@dataclass(frozen=True)
class Present:
    """An existing workload: its id, names of its processes and threads, and its kinds."""

    id: str
    names: tuple[str, ...] = ()
    kind: Kind = Kind.UNKNOWN


class CalledBy(StrEnum):
    """How the sentence referred to a workload."""

    NAME = "name"
    KIND = "kind"
    OTHERS = "others"
    # By a word or an id that nothing here has.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Mention:
    """`word` as it was written; `ids` the workloads that have this name, `kinds` the kinds it
    means.
    """

    word: str
    by: CalledBy
    ids: tuple[str, ...] = ()
    kinds: frozenset[Kind] = frozenset()


@dataclass(frozen=True)
class Masked:
    """A sentence in lower case in which `@N` stands for `mentions[N]`."""

    text: str
    mentions: tuple[Mention, ...]


# The longest name that is searched for, in words.
_MOST_WORDS = 3
# How similar a mistyped word must be (difflib's ratio), and its minimum length.
_NEAR = 0.8
_LEAST_MISTYPED = 5
_ID = re.compile(
    r"(?<![\w-])(?:cgroup:/|comm:|kthread:|cgroup-id:)(?:[^\s\"'`,;]*[^\s\"'`,;.:!?])?"
)
_QUOTED = re.compile(r"`([^`]+)`|\"([^\"]+)\"|“([^”]+)”|‘([^’]+)’|(?<!\w)'([^']+)'(?!\w)")
_WORD = re.compile(r"(?<![\w@./-])[a-z][\w.+-]*(?<![.-])|(?<![\w@./-])[a-z]\b")
# Words that name no workload without quotation marks.
_NO_NAMES = words(
    """a an the this that these those i we you he she it its they them their my our your me us is
    are was were be been being am do does did have has had can could may might must shall
    should will would not no nor never and or but if then than when while where why how what
    who whom which so as at by for from in into of off on onto out over per to under up upon
    with without within through during until since because about above below before after
    again all any both each every few more most much many little less least lower higher other
    others such only own same too very just even also still yet now here there everything
    anything nothing something nobody everyone someone one two first last next new old good
    better best bad worse worst fast faster quick quicker slow slower soon sooner early
    earlier late later long longer short shorter high low big small please want wants wanted
    need needs like likes make makes made get gets let lets keep keeps go goes going run runs
    running work works working take takes time times wait waits waiting stop stops start
    starts finish done ready help use used using care cost expense matter second seconds
    minute minutes hour hours ms us ns min sec percent cpu cpus core cores kernel scheduler
    scheduling latency response delay queue throughput requests request tail rest machine
    progress starve lag lags stutter smooth answer answers reply sure always nice idle sleep
    system limit limits guard objective completions turnaround makespan measurement mean
    average median don't doesn't isn't mustn't people users user customers clients morning
    night day today frames background priority fair"""
)
_ENDING = re.compile(r"\.(?:service|scope|slice|socket|mount|timer)$")
# Parts of unit names without information.
_IN_EVERY_UNIT = words("""app user session system docker snap dbus org com service init""")
_NOUNS = tuple(
    (
        kinds,
        re.compile(
            r"(?<![\w@./-])(?:"
            + "|".join(each.replace("~", "[ -]?") for each in words.split())
            + r")(?:'s)?(?![\w-])"
        ),
    )
    for kinds, words in NOUNS
)
_VERBS = "may|can|must|should|will|could|shall|is|are|does|do"
_OTHERS = re.compile(rf"(?<![\w@-])(?:{OTHERS})(?:'s?)?(?![\w-])")


def names_of(present: Present) -> tuple[set[str], set[str]]:
    """The names of a workload, and parts of names, in lower case."""
    kind, _, rest = present.id.partition(":")
    whole: set[str] = set()
    parts: set[str] = set()
    if kind == "cgroup":
        last = rest.rstrip("/").rpartition("/")[2].lower()
        stem = _ENDING.sub("", last)
        whole |= {last, stem, stem.partition("@")[0]}
        pieces = re.split(r"[-_@.:]", stem)
        parts |= {each for each in pieces if len(each) > 3 and re.search("[a-z]{3}", each)}
        parts -= _IN_EVERY_UNIT
    elif kind in ("comm", "kthread"):
        whole.add(rest.lower())
    parts |= {each.lower() for each in present.names}
    return {each for each in whole if each}, {each for each in parts if each} - whole


class _WorkloadNames:
    """Names to ids; a whole name takes precedence over a part of one."""

    def __init__(self, present: Sequence[Present]) -> None:
        whole: dict[str, list[str]] = defaultdict(list)
        part: dict[str, list[str]] = defaultdict(list)
        for each in present:
            names, parts = names_of(each)
            for name in names:
                whole[name].append(each.id)
            for name in parts:
                part[name].append(each.id)
        self._by_name = {**part, **whole}

    def of(self, word: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._by_name.get(word, ())))

    def near(self, word: str) -> tuple[float, str]:
        """The nearest name, and how similar it is."""
        names = [each for each in self._by_name if len(each) >= _LEAST_MISTYPED]
        return _nearest(word, [each for each in names if each not in _NO_NAMES])


def _nearest(word: str, among: Iterable[str]) -> tuple[float, str]:
    found = difflib.get_close_matches(word, sorted(among), n=1, cutoff=_NEAR)
    return (difflib.SequenceMatcher(None, word, found[0]).ratio(), found[0]) if found else (0.0, "")


class _Masking:
    """The sentence while names are taken out of it."""

    def __init__(self, text: str, present: Sequence[Present]) -> None:
        self.text = text
        self.mentions: list[Mention] = []
        self._names = _WorkloadNames(present)
        self._ids = {each.id for each in present}

    def _put(self, mention: Mention) -> str:
        # "editor" also says what it is, even if it is a name.
        kinds = next(
            (kinds for kinds, each in _NOUNS if each.fullmatch(mention.word.lower())), None
        )
        self.mentions.append(replace(mention, kinds=mention.kinds or kinds or frozenset()))
        return f" @{len(self.mentions) - 1} "

    def ids(self) -> None:
        def found(match: re.Match[str]) -> str:
            id = match[0]
            if id == "@":
                # Our own sign, for the place of a name.
                return " "
            return self._put(
                Mention(id, CalledBy.NAME, (id,))
                if id in self._ids
                else Mention(id, CalledBy.UNKNOWN)
            )

        self.text = re.sub(rf"{_ID.pattern}|@", found, self.text)

    def quoted(self) -> None:
        def found(match: re.Match[str]) -> str:
            inner = next(group for group in match.groups() if group).strip()
            if ids := self._names.of(inner.lower()):
                return self._put(Mention(inner, CalledBy.NAME, ids))
            # "make it 'snappy'" quotes a word, not a name.
            if read_clause(inner.lower()).will or any(
                each.search(inner.lower()) for _, each in _NOUNS
            ):
                return f" {inner} "
            return self._put(Mention(inner, CalledBy.UNKNOWN))

        self.text = _QUOTED.sub(found, self.text).lower()

    def names(self) -> None:
        for length in range(_MOST_WORDS, 0, -1):
            words = list(_WORD.finditer(self.text))
            pieces: list[str] = []
            at = index = 0
            while index + length <= len(words):
                first, last = words[index], words[index + length - 1]
                written = self.text[first.start() : last.end()]
                ids = self._called(written, length)
                if ids:
                    pieces += [
                        self.text[at : first.start()],
                        self._put(Mention(written, CalledBy.NAME, ids)),
                    ]
                    at = last.end()
                    index += length
                else:
                    index += 1
            self.text = "".join([*pieces, self.text[at:]])
        self.text = re.sub(r"(@\d+) +'s\b", r"\1", self.text)

    def _called(self, written: str, length: int) -> tuple[str, ...]:
        plain = written.removesuffix("'s")
        if length == 1:
            ids = () if plain in _NO_NAMES else self._names.of(plain)
            return () if ids and read_clause(plain).will else ids
        if not re.fullmatch(r"[\w.+-]+(?: [\w.+-]+)*", plain):
            return ()
        words = plain.split(" ")
        if all(each in _NO_NAMES for each in words):
            return ()
        joined = (plain, "-".join(words), "_".join(words), "".join(words))
        return next((ids for each in joined if (ids := self._names.of(each))), ())

    def mistyped(self) -> None:
        def found(match: re.Match[str]) -> str:
            word = match[0].removesuffix("'s")
            known = (
                len(word) < _LEAST_MISTYPED
                or word in _NO_NAMES
                or word in PLAIN
                or word in VOCABULARY
                or read_clause(word).will is not None
                or any(each.fullmatch(word) for _, each in _NOUNS)
            )
            if known:
                return match[0]
            name, word_of_ours = self._names.near(word), _nearest(word, VOCABULARY)
            if name[0] >= max(word_of_ours[0], _NEAR) and not read_clause(name[1]).will:
                return self._put(Mention(word, CalledBy.NAME, self._names.of(name[1])))
            return word_of_ours[1] or match[0]

        self.text = _WORD.sub(found, self.text)

    def compounds(self) -> None:
        self.text = re.sub(r"(\d),(\d{3})(?!\d)", r"\1\2", self.text)
        for pattern, replacement in COMPOUNDS:
            self.text = re.sub(pattern, replacement, self.text)

    def others(self) -> None:
        def found(match: re.Match[str]) -> str:
            mention = self._put(Mention(match[0], CalledBy.OTHERS))
            return f" nobody{mention}" if match[0].startswith("no") else mention

        self.text = " ".join(_OTHERS.sub(found, self.text).split())
        self.text = re.sub(rf"nobody (@\d+) ({_VERBS})\b(?! not)", r"\1 \2 not", self.text)
        self.text = self.text.replace("nobody @", "not @")

    def nouns(self) -> None:
        for kinds, pattern in _NOUNS:

            def found(match: re.Match[str], kinds: frozenset[Kind] = kinds) -> str:
                return self._put(Mention(match[0].removesuffix("'s"), CalledBy.KIND, (), kinds))

            self.text = pattern.sub(found, self.text)


def mask(goal: str, present: Sequence[Present]) -> Masked:
    """Take the workloads out of a sentence, and correct typing errors."""
    work = _Masking(" ".join(goal.replace("’", "'").split()), present)
    work.ids()
    work.quoted()
    work.names()
    work.mistyped()
    work.compounds()
    work.others()
    work.nouns()
    return Masked(" ".join(work.text.split()), tuple(work.mentions))
