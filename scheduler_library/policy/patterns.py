# SPDX-License-Identifier: GPL-2.0-or-later
"""Texts that no task can have, or that follow another pattern language."""

import re
from dataclasses import dataclass

from scheduler_library.policy.foreign import glob_of_regex
from scheduler_library.policy.vocabulary import NAMES

# Where cgroups are mounted; their paths begin below it.
MOUNTED = "/sys/fs/cgroup"
# Units that hold no processes.
_EMPTY_UNITS = (".timer", ".target", ".path", ".device", ".automount")
_REGEX = re.compile(r"^\^|[^\\]\$$|^\.\*|\.\+|\\[dwsb.]|\(\?|\)[*+?]|\|\^|\$\|")


@dataclass(frozen=True)
class Doubtful:
    what: str
    why: str
    hint: str


def doubtful(field: str, operator: str, text: str) -> Doubtful | None:
    """The problem with a text that a field is compared with; None if there is none."""
    if operator != "~":
        return _equal(field, operator, text)
    found = _other_language(field, text)
    if found is not None:
        return found
    for each in text.split("|"):
        found = _one(field, operator, each)
        if found is not None:
            return found
    return None


def _equal(field: str, operator: str, text: str) -> Doubtful | None:
    if field in ("user", "policy"):
        return None
    # A command line may contain stars and bars; at its end they are meant as a glob.
    parts = text[:1] + text[-1:] if field == "cmd" else text
    signs = "*" if field == "cmd" else "*?|"
    if set(parts) & set(signs):
        sign = next(each for each in signs if each in parts)
        negated = "not " if operator == "!=" else ""
        return Doubtful(
            f"`{sign}` is an ordinary character after `{operator}`",
            f"so this is {'always' if negated else 'never'} true for the intended names",
            f'globs come after `~`: {negated}{field} ~ "{_quoted(text)}"',
        )
    return _one(field, operator, text)


def _other_language(field: str, text: str) -> Doubtful | None:
    """Regular expressions, shells and lists."""
    braces = re.search(r"\{[^{}]*,[^{}]*\}", text)
    group = re.search(r"\([^()]*\|[^()]*\)", text)
    dots = (field in NAMES and ".*" in text) or re.search(r"[/)\]]\.\*", text)
    if _REGEX.search(text) or group or dots:
        return Doubtful(
            "this looks like a regular expression",
            "here it is a glob, in which `*` is any text, `?` any one byte, and everything else "
            "except `|` is an ordinary character",
            f'write for example: {field} ~ "{_quoted(glob_of_regex(text))}"',
        )
    if braces:
        return Doubtful(
            "globs have no braces",
            "they are ordinary characters here",
            f'write all alternatives: {field} ~ "{_quoted(glob_of_regex(text))}"',
        )
    if text.startswith("!"):
        return Doubtful(
            "globs have no `!`",
            "it is an ordinary character here",
            f'write `not` in front: not {field} ~ "{_quoted(text[1:])}"',
        )
    if any(each != each.strip() for each in text.split("|")) and field != "cmd":
        joined = "|".join(each.strip() for each in text.split("|"))
        return Doubtful(
            "blanks belong to a pattern",
            "and one begins or ends this pattern, so the intended names do not match",
            f'write {field} ~ "{_quoted(joined)}"',
        )
    if field in NAMES and re.fullmatch(r"[\w*?.-]+(?:,\s*[\w*?.-]+)+", text):
        joined = re.sub(r",\s*", "|", text)
        return Doubtful(
            "a comma is an ordinary character",
            "alternatives are separated by `|`",
            f'write {field} ~ "{_quoted(joined)}"',
        )
    return None


def _one(field: str, operator: str, pattern: str) -> Doubtful | None:
    """One pattern of a field, or its whole text."""
    if field in NAMES:
        return _name(field, operator, pattern)
    if field == "cgroup":
        return _cgroup(operator, pattern)
    if field == "unit":
        return _unit(operator, pattern)
    return None


def _name(field: str, operator: str, pattern: str) -> Doubtful | None:
    if pattern.startswith("/"):
        last = pattern.rstrip("/*").rpartition("/")[2] or "name"
        return Doubtful(
            f"no program is called {pattern!r}",
            "a name is the file's name, without its folder",
            f'write {field} {operator} "{_quoted(last[:15])}", or the command line: '
            f'cmd ~ "{_quoted(pattern.rstrip("*"))}*"',
        )
    if re.search(r"\S \S* ?-|\s--?\w", pattern):
        return Doubtful(
            f"no program is called {pattern!r}",
            "a name has no arguments",
            f'match the whole command line: cmd ~ "{_quoted(pattern)}"',
        )
    return None


def _cgroup(operator: str, pattern: str) -> Doubtful | None:
    never = f"never true of any task: {pattern!r}"
    if pattern.startswith(MOUNTED):
        return Doubtful(
            never,
            f"a path begins at the root of the cgroups, below {MOUNTED}",
            f'write cgroup {operator} "{_quoted(pattern.removeprefix(MOUNTED) or "/")}"',
        )
    if pattern and pattern[0] not in "/*?":
        better = f"/{pattern}" if "/" in pattern or pattern.endswith("*") else f"/{pattern}/*"
        return Doubtful(
            never,
            "the path of a cgroup begins with `/`",
            f'write cgroup ~ "{_quoted(better)}", or "*{_quoted(pattern)}*" for anywhere',
        )
    if len(pattern) > 1 and pattern.endswith("/"):
        return Doubtful(
            never,
            "no path ends with `/`",
            f'write cgroup ~ "{_quoted(pattern)}*" for all below it',
        )
    if "//" in pattern:
        return Doubtful(
            never,
            "no path has `//` in it",
            f'write cgroup {operator} "{_quoted(re.sub("//+", "/", pattern))}"',
        )
    if pattern.endswith(".slice") and not set(pattern) & set("*?"):
        return Doubtful(
            f"hardly ever true: {pattern!r}",
            "systemd keeps processes in the services and scopes below a slice",
            f'write cgroup ~ "{_quoted(pattern)}/*" for all below it',
        )
    return None


def _unit(operator: str, pattern: str) -> Doubtful | None:
    if "/" in pattern:
        return Doubtful(
            f"no unit is called {pattern!r}",
            "the name of a unit has no `/`",
            f'match the path: cgroup ~ "{_quoted(pattern)}"',
        )
    if pattern.endswith(_EMPTY_UNITS):
        stem = pattern.rpartition(".")[0]
        return Doubtful(
            f"no task is in the unit {pattern!r}",
            "units of this kind have no processes",
            f'name the service: unit {operator} "{_quoted(stem)}.service"',
        )
    if pattern.endswith(".slice"):
        return Doubtful(
            f"hardly any task is in the unit {pattern!r}",
            "a task's unit is the service or scope that it is in, not the slices around it",
            f'match the path: cgroup ~ "*/{_quoted(pattern)}/*"',
        )
    return None


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
