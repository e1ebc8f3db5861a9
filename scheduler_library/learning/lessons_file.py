# SPDX-License-Identifier: GPL-2.0-or-later
"""The file of lessons, `lessons.toml` in the state folder: for people to read and to edit.

One `[[lesson]]` table each; only `text` is required, so that a person writes two lines. A lesson
that did not change is written back as it was read. In one that did, only the changed keys are
replaced, and its comments stay. A file that cannot be parsed is refused with its line, and left as
it is: nobody's work is overwritten.
"""

import contextlib
import re
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from process import Fault, FaultType
from process.text_file import read_text, write_whole
from scheduler_library.learning.lessons import (
    LONGEST_SAID,
    LONGEST_TEXT,
    MOST_EVIDENCE,
    Lesson,
    LessonEvidence,
    Says,
)

if TYPE_CHECKING:
    # 2 MB in the daemon, which needs it only when it writes.
    from tomlkit.items import Array

FILE = "lessons.toml"
LARGEST_BYTES = 1024 * 1024
# More than are kept, because a person may write more; a longer file is not a file of lessons.
MOST_READ = 2000
HEAD = """\
# What schedpilot has learned about schedulers and workloads, one [[lesson]] each. It is yours to
# edit: the daemon rereads it after a change, and advisors get its content. A lesson
# of your own needs nothing but a text, and is never dropped to make room:
#
#   [[lesson]]
#   text = "the backup at night is no degradation"
#
# Your comments stay. docs/learning.md says what the other keys mean."""
_KEYS = (
    "text",
    "at",
    "author",
    "about",
    "policy",
    "tags",
    "says",
    "objective",
    "confirmed",
    "contradicted",
    "evidence",
)
_EVIDENCE_KEYS = ("at", "episode", "trial", "said", "supports")
_TABLE = re.compile(r"\s*\[\[\s*lesson\s*\]\]\s*(#.*)?$")
_NAME = re.compile(r"[\w.-]{1,60}")
_NO_TIME = -1.0


def _fault(where: str, line: int, why: str) -> Fault:
    return Fault(
        FaultType.STATE,
        "the file of lessons cannot be parsed; it is left as it is, and new lessons are kept aside",
        where=f"{where}:{line}",
        why=why,
        hint=f"correct line {line}, or move the file away; docs/learning.md has the format",
    )


class _Reader:
    """Checks the values of one table."""

    def __init__(self, where: str, line: int) -> None:
        self._where, self._line = where, line

    def fault(self, why: str) -> Fault:
        return _fault(self._where, self._line, why)

    def keys(self, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                raise self.fault(f"unknown key {key[:40]!r}; there are: {', '.join(known)}")

    def text(self, table: Mapping[str, Any], key: str, most: int) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.fault(f"`{key}` is a text in quotes")
        if len(value) > most:
            raise self.fault(f"`{key}` has more than {most} characters")
        if not value.isprintable():
            raise self.fault(f"`{key}` is one line of characters that can be shown")
        return value

    def name(self, table: Mapping[str, Any], key: str) -> str:
        value = self.text(table, key, 60)
        if value and not _NAME.fullmatch(value):
            raise self.fault(f"`{key}` is a name, without blanks")
        return value

    def count(self, table: Mapping[str, Any], key: str, default: int) -> int:
        value = table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**9:
            raise self.fault(f"`{key}` is a whole number, not below 0")
        return value

    def time(self, table: Mapping[str, Any], default: float) -> float:
        value = table.get("at")
        if value is None:
            return default
        if not isinstance(value, datetime):
            raise self.fault("`at` is a time such as 2026-01-31T12:00:00Z, without quotes")
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()

    def names(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or len(value) > 20:
            raise self.fault(f"`{key}` is a list of at most 20 words")
        return tuple(self.name({key: each}, key) for each in value)

    def evidence(self, table: Mapping[str, Any], default_at: float) -> tuple[LessonEvidence, ...]:
        value = table.get("evidence", [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.fault("`evidence` is a list of tables")
        found = []
        for each in value[-MOST_EVIDENCE:]:
            self.keys(each, _EVIDENCE_KEYS)
            supports = each.get("supports", True)
            if not isinstance(supports, bool):
                raise self.fault("`supports` is true or false")
            found.append(
                LessonEvidence(
                    self.time(each, default_at),
                    self.name(each, "episode"),
                    self.name(each, "trial"),
                    self.text(each, "said", LONGEST_SAID),
                    supports,
                )
            )
        return tuple(found)


def _lesson(table: Mapping[str, Any], where: str, line: int, at: float) -> Lesson:
    read = _Reader(where, line)
    read.keys(table, _KEYS)
    text = read.text(table, "text", LONGEST_TEXT)
    if not text.strip():
        raise read.fault("a lesson needs a `text`")
    says = read.text(table, "says", 20)
    if says not in {each.value for each in Says}:
        raise read.fault('`says` is "better" or "worse", or left out')
    first = read.time(table, at)
    evidence = read.evidence(table, first)
    return Lesson(
        text,
        first,
        read.name(table, "author") or "operator",
        read.name(table, "about"),
        read.names(table, "tags"),
        Says(says),
        read.count(table, "confirmed", sum(each.supports for each in evidence)),
        read.count(table, "contradicted", sum(not each.supports for each in evidence)),
        evidence,
        read.text(table, "policy", LONGEST_TEXT),
        read.text(table, "objective", LONGEST_SAID),
    )


def parse(text: str, where: str = FILE, at: float = 0.0) -> tuple[str, list[Lesson]]:
    """The text above the first lesson, and the lessons.

    Args:
        at: the time for those without one, Unix seconds.

    Raises:
        Fault: STATE, with the line and what to do.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _TABLE.match(line)]
    if len(starts) > MOST_READ:
        raise _fault(where, starts[MOST_READ] + 1, f"there are more than {MOST_READ} lessons")
    # A comment belongs to the lesson directly below it.
    firsts = []
    for start in starts:
        first = start
        while first > 0 and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        firsts.append(first)
    found = []
    head = lines[: firsts[0]] if firsts else lines
    _table(head, where, 1, only_comments=True)
    for place, (first, start) in enumerate(zip(firsts, starts, strict=True)):
        end = firsts[place + 1] if place + 1 < len(firsts) else len(lines)
        table = _table(lines[start:end], where, start + 1)
        comment = tuple(line.strip() for line in lines[first:start])
        source = "\n".join(lines[start:end]).rstrip()
        found.append(replace(_lesson(table, where, start + 1, at), comment=comment, source=source))
    return "\n".join(head).strip(), found


def _table(
    lines: list[str], where: str, line: int, *, only_comments: bool = False
) -> Mapping[str, Any]:
    """The one table in these lines, which begin at `line`."""
    try:
        values = tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        told = re.search(r"at line (\d+)", str(error))
        number = line + (int(told[1]) - 1 if told else max(len(lines) - 1, 0))
        raise _fault(where, number, str(error).partition(" (")[0]) from None
    if only_comments:
        if values:
            raise _fault(where, line, "there is something before the first [[lesson]]")
        return {}
    if set(values) != {"lesson"} or len(values["lesson"]) != 1:
        raise _fault(where, line, "there is a table in it that is not a [[lesson]]")
    table: Mapping[str, Any] = values["lesson"][0]
    return table


# ---------------------------------------------------------------- writing


def render(head: str, lessons: Iterable[Lesson]) -> str:
    """The text of the file; `parse` gives back the same lessons."""
    blocks = [head or HEAD]
    blocks += ["\n".join([*each.comment, _block(each)]) for each in lessons]
    return "\n\n".join(blocks) + "\n"


def _block(lesson: Lesson) -> str:
    """One `[[lesson]]`: as its author wrote it, with new values where they changed."""
    if lesson.source and _reads_as(lesson.source, lesson):
        return lesson.source
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    values = _values(lesson)
    if lesson.source:
        with contextlib.suppress(TOMLKitError):
            document = tomlkit.parse(lesson.source)
            _update(document["lesson"][0], values)
            edited = tomlkit.dumps(document).rstrip()
            if _reads_as(edited, lesson):
                return edited
    return tomlkit.dumps({"lesson": [values]}).rstrip()


def _reads_as(source: str, lesson: Lesson) -> bool:
    # The time of the file is none of the lesson's: it changes with each write.
    found = _lesson(_table(source.splitlines(), FILE, 1), FILE, 1, _NO_TIME)
    return _in_seconds(found) == _in_seconds(lesson)


def _in_seconds(lesson: Lesson) -> Lesson:
    """With times as the file has them, without fractions."""
    evidence = tuple(replace(each, at=int(each.at)) for each in lesson.evidence)
    return replace(lesson, at=int(lesson.at), evidence=evidence)


def _update(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    for key in _KEYS:
        if key in values and table.get(key) != values[key]:
            table[key] = values[key]
        elif key in table and key not in values:
            del table[key]


def _values(lesson: Lesson) -> dict[str, Any]:
    """The keys of a lesson in the order of the file; those that say nothing are left out."""
    values: dict[str, Any] = {
        "text": lesson.text,
        "at": _time(lesson.at),
        "author": lesson.author,
        "about": lesson.about,
        "policy": lesson.policy,
        "tags": list(lesson.tags),
        "says": lesson.says.value,
        "objective": lesson.objective,
    }
    if lesson.confirmed or lesson.contradicted:
        values |= {"confirmed": lesson.confirmed, "contradicted": lesson.contradicted}
    if lesson.evidence:
        values["evidence"] = _evidence(lesson.evidence)
    return {key: value for key, value in values.items() if value not in ("", [])}


def _evidence(evidence: Iterable[LessonEvidence]) -> "Array":
    """One line for each piece."""
    import tomlkit

    lines = tomlkit.array()
    for each in evidence:
        line = tomlkit.inline_table()
        line["at"] = _time(each.at)
        for key, value in (("episode", each.episode), ("trial", each.trial), ("said", each.said)):
            if value:
                line[key] = value
        if not each.supports:
            line["supports"] = False
        lines.append(line)
    return lines.multiline(True)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)


# ---------------------------------------------------------------- the file


def read(path: Path) -> tuple[str, list[Lesson]]:
    """The head and the lessons of a file; empty if it does not exist.

    Raises:
        Fault: STATE: it cannot be read or parsed.
    """
    try:
        text = read_text(
            path, largest_bytes=LARGEST_BYTES, type=FaultType.STATE, what="the file of lessons"
        )
        at = path.stat().st_mtime
    except FileNotFoundError:
        return "", []
    return parse(text, str(path), at)


def write(path: Path, head: str, lessons: Iterable[Lesson]) -> None:
    """Write the file whole or not at all, readable for the group.

    Raises:
        OSError: the folder cannot be written, or is full.
    """
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o640
    write_whole(path, render(head, lessons), mode)
