# SPDX-License-Identifier: GPL-2.0-or-later
"""A source's characters and directives, before anything is included or expanded.

Follows the C standard's translation phases as clang does them (gnu11), so that a directive that
is split over lines or spelt with digraphs is seen for what it is. Pure.
"""

import bisect
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bpf.build.diagnostics import Diagnostic

# A source that tests which files exist, or when it was compiled, becomes a different program each
# time.
_PROBES = {
    "__has_include": "the set of headers is known: include <scx/common.bpf.h>",
    "__has_include_next": "include <scx/common.bpf.h>",
    "__has_embed": "leave it out: a scheduler contains no files",
    "__INCLUDE_LEVEL__": "leave it out",
    "__TIME__": "leave it out: the same source has to give the same object",
    "__DATE__": "leave it out: the same source has to give the same object",
    "__TIMESTAMP__": "leave it out: the same source has to give the same object",
}
ASSEMBLY = ("asm", "__asm", "__asm__")
ASSEMBLY_FIX = (
    "write it in C; barrier(), barrier_var(), __sink(), MEMBER_VPTR() and ARRAY_ELEM_PTR() of "
    "<scx/common.bpf.h> do what assembly is used for in schedulers"
)
# Assembly without an instruction limits the compiler's assumptions, and does nothing else.
BARRIER = re.compile(r'\s*(?:volatile|__volatile__)?\s*\(\s*""\s*[:)]')
_DIRECTIVES = {
    "include", "define", "undef", "if", "ifdef", "ifndef", "elif", "elifdef", "elifndef", "else",
    "endif", "error", "warning", "pragma",
}  # fmt: skip
_REFUSED_DIRECTIVES = {
    "embed": "leave it out: a scheduler contains no files",
    "include_next": "use #include <scx/common.bpf.h>",
    "import": "use #include <scx/common.bpf.h>",
    "line": "leave it out: messages have to name the source's own lines",
}
# Of pragmas only those that change no section, symbol or header.
_PRAGMA = re.compile(
    r"\s*(?:once\b|unroll\b|nounroll\b|clang\s+(?:diagnostic|loop|fp)\b|GCC\s+(?:diagnostic|unroll)\b)"
)
_NAME = re.compile(r"[A-Za-z_]\w*|\d+")
_BEGINS = ("if", "ifdef", "ifndef")
_GOES_ON = ("elif", "elifdef", "elifndef", "else")
_SPLICE = re.compile(r"\\[ \t\f\v]*\n")
_TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<raw>\b(?:u8|[uUL])?R")
  | (?P<string>"(?:[^"\\\n]|\\.)*"?)
  | (?P<char>'(?:[^'\\\n]|\\.)*'?)
  | (?P<digraph>%:|<:|:>|<%|%>|\?\?[=/'()!<>-])
  | (?P<word>[A-Za-z_$][\w$]*)
  | (?P<hash>\#)
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
  | (?P<newline>\n)
  | (?P<space>[ \t\f\v]+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANK = re.compile(r"(?:[ \t\f\v]|//[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
_HEADER = re.compile(r'<([^>\n]*)>|"([^"\n]*)"')
# Controls, and characters that change the order or hide text on a screen (CVE-2021-42574).
_HIDDEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


# Takes a finding: place, what, remedy.
_Error = Callable[[int, str, str], None]


@dataclass(frozen=True)
class _Text:
    """A source with its lines joined; `joints` are the places where a newline was removed."""

    joined: str
    newlines: tuple[int, ...]
    joints: tuple[int, ...]

    def line(self, at: int) -> int:
        return 1 + bisect.bisect_left(self.newlines, at) + bisect.bisect_right(self.joints, at)


def _spliced(text: str) -> _Text:
    joints, parts, last, out = [], [], 0, 0
    for found in _SPLICE.finditer(text):
        parts.append(text[last : found.start()])
        out += found.start() - last
        joints.append(out)
        last = found.end()
    parts.append(text[last:])
    joined = "".join(parts)
    newlines = tuple(at for at, each in enumerate(joined) if each == "\n")
    return _Text(joined, newlines, tuple(joints))


def check_characters(data: bytes, file: str) -> tuple[str, tuple[Diagnostic, ...]]:
    """The source as text with plain newlines, and the problems of its characters."""

    def error(line: int, message: str, hint: str) -> tuple[Diagnostic, ...]:
        return (Diagnostic(file, line, 0, "error", message, hint),)

    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        return "", error(line, "the source is not text in UTF-8", "write it in ASCII or UTF-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    hidden = _HIDDEN.search(text)
    if hidden:
        line = text.count("\n", 0, hidden.start()) + 1
        what = f"the source has the invisible character U+{ord(hidden[0]):04X}"
        return "", error(line, what, "remove it; a source must read the way it compiles")
    return text, ()


@dataclass(frozen=True)
class BranchFinding:
    """A finding, and the `#if` branch that contains it.

    Branches are numbered in the order of the text, from 1; 0 is outside all of them.
    """

    finding: Diagnostic
    branch: int


@dataclass(frozen=True)
class Directives:
    """The results of a text's directives and words.

    `marked` is the same text with `#pragma schedpilot NUMBER` in each branch, and without forbidden
    includes: the preprocessor's output then shows which branches are active. `last` is the number
    of its last branch.
    """

    doubts: tuple[BranchFinding, ...]
    marked: str
    last: int


def check_directives(
    text: str, file: str, *, includes: Collection[str], last: int = 0
) -> Directives:
    """Directives and words that no scheduler needs.

    Args:
        text: as returned by `check_characters`.
        includes: names of headers that may be included.
        last: how many branches were seen in other files of the same source.
    """
    source = _spliced(text)
    joined = source.joined
    found: list[BranchFinding] = []
    marked: list[str] = []
    branches = _Branches(last)
    copied = 0

    def error(at: int, message: str, hint: str) -> None:
        finding = Diagnostic(file, source.line(at), 0, "error", message, hint)
        found.append(BranchFinding(finding, branches.inner))

    fresh = True  # nothing but blanks since the line began
    at = 0
    while at < len(joined):
        token = _TOKEN.match(joined, at)
        assert token is not None
        kind, word, start = token.lastgroup, token[0], at
        at = token.end()
        match kind:
            case "newline":
                fresh = True
                continue
            case "space" | "comment":
                continue
            case "hash" if fresh:
                before = len(found)
                name = _NAME.match(joined, _end(_BLANK, joined, at))
                at = _directive(joined, at, start, includes, error)
                end = _line_end(joined, at)
                if name and name[0] == "include" and len(found) > before:
                    marked.append(joined[copied:start])
                    copied = end
                elif name and (number := branches.meet(name[0])):
                    marked.append(f"{joined[copied:end]}\n#pragma schedpilot {number}")
                    copied = end
            case "digraph":
                what = "trigraph" if word.startswith("??") else "digraph"
                error(start, f"the {what} {word} is used", "write the character itself")
            case "raw":
                error(start, "a raw string is used", "use an ordinary string")
            case "word" if not (word in ASSEMBLY and BARRIER.match(joined, at)):
                _word(word, start, error)
        fresh = False
    return Directives(tuple(found), "".join([*marked, joined[copied:]]), branches.last)


class _Branches:
    """The position among `#if`, `#else` and `#endif`."""

    def __init__(self, last: int) -> None:
        self._open = [0]
        self.last = last

    @property
    def inner(self) -> int:
        return self._open[-1]

    def meet(self, directive: str) -> int:
        """Skip a directive; returns the number of the branch that it begins, or 0."""
        if directive == "endif":
            if len(self._open) > 1:
                self._open.pop()
            return 0
        if directive in _BEGINS:
            self._open.append(0)
        elif directive not in _GOES_ON or len(self._open) == 1:
            return 0
        self.last += 1
        self._open[-1] = self.last
        return self.last


def _word(word: str, start: int, error: _Error) -> None:
    if word in ASSEMBLY:
        error(start, f"inline assembly ({word})", ASSEMBLY_FIX)
    elif word in _PROBES:
        error(start, f"{word} is used, which no scheduler needs", _PROBES[word])
    elif word in ("_Pragma", "__pragma"):
        error(start, f"{word} is used", "write a #pragma, or leave it out")


def _directive(joined: str, at: int, start: int, includes: Collection[str], error: _Error) -> int:
    """Judge a directive whose `#` ends at `at`. Returns where reading continues: in its line."""
    at = _end(_BLANK, joined, at)
    name = _NAME.match(joined, at)
    if name is None:
        if at < len(joined) and joined[at] != "\n":
            error(start, "a directive without a name", "take it out")
        return at
    at = name.end()
    word = name[0]
    if word == "include":
        return _include(joined, at, start, includes, error)
    if word == "pragma":
        end = joined.find("\n", at)
        end = len(joined) if end < 0 else end
        if not _PRAGMA.match(joined, at, end):
            error(
                start,
                f"#pragma {joined[at:end].strip()[:40]} is used",
                "leave it out: only `#pragma unroll`, `clang loop` and `diagnostic` are allowed",
            )
        return end
    if word in _REFUSED_DIRECTIVES or word.isdigit():
        named = "line" if word.isdigit() else word
        error(start, f"#{named} is used", _REFUSED_DIRECTIVES[named])
    elif word not in _DIRECTIVES:
        error(start, f"the directive #{word} is unknown", "take it out")
    return at


def _include(joined: str, at: int, start: int, includes: Collection[str], error: _Error) -> int:
    at = _end(_BLANK, joined, at)
    header = _HEADER.match(joined, at)
    if header is None:
        error(start, "an include whose name is computed", "name the header: <scx/common.bpf.h>")
        return at
    name = header[1] if header[1] is not None else header[2]
    if name not in includes and header[2] is not None and "/" not in name:
        error(
            start,
            f"{name[:100]!r} may not be included: there is no such file beside the source",
            "own headers are taken from the source's folder by `schedpilot check FILE` and "
            "`simulate FILE`; a candidate of the daemon is one text, so copy the header's "
            "content into it; everything else is in <scx/common.bpf.h>",
        )
    elif name not in includes:
        error(
            start,
            f"{name[:100]!r} may not be included",
            "include <scx/common.bpf.h>, which has the kernel's types, libbpf's helpers and the "
            "functions of sched_ext; there is nothing else",
        )
    return header.end()


def _line_end(joined: str, at: int) -> int:
    """The end of a directive's line, which a comment may extend over several lines."""
    while at < len(joined) and joined[at] != "\n":
        token = _TOKEN.match(joined, at)
        assert token is not None
        at = token.end()
        if token["comment"] and token[0].startswith("//"):
            break
    return at


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
