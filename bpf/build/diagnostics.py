# SPDX-License-Identifier: GPL-2.0-or-later
"""clang's messages as data, with hints for a scheduler's author.

clang's plain format is parsed: SARIF output is marked unstable in clang 19 and is lost completely
if the compiler crashes. The compiled source is hostile, and so is everything that clang quotes.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
# More than anybody reads; a hostile source can make clang print without end.
MAX_MESSAGES = 50
_MAX_TEXT = 500


@dataclass(frozen=True)
class Diagnostic:
    """One message. Line and column count from 1; 0 if clang names none."""

    file: str
    line: int
    column: int
    severity: Severity
    message: str
    hint: str = ""


_PLACED = re.compile(
    r"(?P<file>[^\s:][^:\n]*):(?P<line>\d+):(?P<column>\d+):(?:\{[\d:\-{}]*\}:)?"
    r" (?P<severity>fatal error|error|warning|note): (?P<message>.*)"
)
_UNPLACED = re.compile(
    r"(?:clang[\w.+-]*: )?(?P<severity>fatal error|error|warning): (?P<message>.*)"
)

# The hint for each message of clang. The first match counts.
_HINTS = (
    (
        r"file not found",
        "include <scx/common.bpf.h>; libbpf's and the kernel's own headers are there, and your "
        "own ones if they are beside the checked source",
    ),
    (
        r"field designator '(\w+)' does not refer to any field in type 'struct sched_ext_ops",
        "this kernel's sched_ext has no such callback or field: leave it out",
    ),
    (
        r"no member named '\w+' in 'struct (task_struct|rq|sched_ext_entity|cgroup)'",
        "this kernel's struct has no such member: see vmlinux.h, and ask with "
        "bpf_core_field_exists() if it depends on the version",
    ),
    (
        r"(stack|Looks like the BPF stack limit)",
        "a BPF function has 512 bytes of stack: put big variables into a map or a global",
    ),
    (
        r"built-in function '__?(u?div|u?mod)ti3'|128",
        "BPF has no 128-bit arithmetic: scale down before multiplying",
    ),
    (
        r"unsupported signed division",
        "BPF divides unsigned numbers only: make both sides unsigned",
    ),
    (
        r"built-in function '(memcpy|memset|memmove|memcmp|strcmp|strncmp|strlen)'",
        "use __builtin_memcpy/__builtin_memset with a constant size, or bpf_strncmp()",
    ),
    (
        r"floating.point|(float|double)\b.*not supported|unsupported.*f(32|64)"
        r"|built-in function '__\w+[sd]f\w*'",
        "BPF has no floating point: use integers, for example thousandths",
    ),
    (
        r"(is|is used) uninitialized",
        "set it on every path that leads there, for example at its declaration",
    ),
    (
        r"too many arguments to function call",
        "compare the call with the declaration, in <scx/common.bpf.h> for kfuncs",
    ),
    (
        r"defined with too many args|too many arguments|more than 5",
        "a BPF function takes at most five arguments: pass a pointer to a struct",
    ),
    (
        r"too few arguments to function call",
        "an argument is missing; kfuncs are declared in <scx/common.bpf.h>, for example "
        "scx_bpf_dsq_insert(p, dsq_id, slice, enq_flags)",
    ),
    (
        r"incompatible pointer types|incompatible integer to pointer",
        "compare the call with the declaration in scx/kfuncs.bpf.h",
    ),
    (
        r"expected ';'",
        "a semicolon is missing at the end of the statement before",
    ),
)
# Functions renamed since 6.12, the first kernel with sched_ext. compat.bpf.h has both names.
_RENAMED = {
    "scx_bpf_dispatch": "scx_bpf_dsq_insert",
    "scx_bpf_dispatch_vtime": "scx_bpf_dsq_insert_vtime",
    "scx_bpf_consume": "scx_bpf_dsq_move_to_local",
    "scx_bpf_dispatch_from_dsq": "scx_bpf_dsq_move",
    "scx_bpf_dispatch_vtime_from_dsq": "scx_bpf_dsq_move_vtime",
    "scx_bpf_dispatch_from_dsq_set_slice": "scx_bpf_dsq_move_set_slice",
    "scx_bpf_dispatch_from_dsq_set_vtime": "scx_bpf_dsq_move_set_vtime",
    "scx_bpf_consume_task": "scx_bpf_dsq_move",
}
_GONE = {
    "scx_bpf_switch_all": "leave the call out: all tasks are switched, unless .flags has "
    "SCX_OPS_SWITCH_PARTIAL",
}
_UNKNOWN = re.compile(
    r"(?:undeclared function|undeclared identifier|unknown type name) '(\w+)'(?P<rest>.*)"
)


def renamed(name: str) -> str:
    """The hint for a name that older kernels had; empty for any other.

    A prefix of scx's own compatibility header (`__COMPAT_`) changes nothing.
    """
    bare = name.removeprefix("__COMPAT_")
    if now := _RENAMED.get(bare):
        return (
            f"since kernel 6.13 {bare}() is called {now}(): write that, or include "
            "<scx/common.bpf.h>, which knows the old name as well"
        )
    return _GONE.get(bare, "")


def _hint(message: str, known: Collection[str]) -> str:
    unknown = _UNKNOWN.search(message)
    if unknown:
        name = unknown[1]
        if now := renamed(name):
            return now
        if name in known:
            return "include <scx/common.bpf.h> first, which declares it"
        if "did you mean" in unknown["rest"]:
            return ""
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        if near and near[0] != name:
            return f"did you mean {near[0]}?"
        if name.startswith(("scx_bpf_", "SCX_", "bpf_", "BPF_")):
            return "neither this kernel nor <scx/common.bpf.h> has this name"
        return "declare it, or include <scx/common.bpf.h> first"
    for pattern, hint in _HINTS:
        if re.search(pattern, message):
            return hint
    return ""


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:_MAX_TEXT]


# A callback made by BPF_PROG() takes an array, whatever the struct's member says.
_UNCAST = re.compile(r"incompatible function pointer types initializing .* of type '\w+ \(")
_SUGGESTION = re.compile(r"did you mean '|'\w+' declared here")


def _uncast(found: re.Match[str], files: Mapping[str, bytes]) -> str:
    """The correct form of a callback that lacks its cast; empty if that is not the problem."""
    lines = files.get(found["file"], b"").split(b"\n")
    row, column = int(found["line"]) - 1, int(found["column"]) - 1
    line = lines[row].decode("utf-8", "replace") if row < len(lines) else ""
    name = re.match(r"\w+", line[column:])
    # clang may point at the macro that defines the scheduler; then there is one candidate or none.
    bare = re.findall(r"\.(\w+)\s*=\s*(\w+)\s*(?:[,;)}]|$)", line)
    if name and any(name[0] == function for _, function in bare):
        bare = [each for each in bare if each[1] == name[0]]
    said = ", ".join(f".{member} = (void *){function}" for member, function in bare[:3])
    return f"cast the callback: {said}" if said else "cast the callback: .NAME = (void *)FUNCTION"


def parse(
    text: str, *, known: Iterable[str] = (), files: Mapping[str, bytes] | None = None
) -> tuple[Diagnostic, ...]:
    """clang's standard error as messages, in its order.

    Args:
        known: names that an author may have meant, for suggestions.
        files: the compiled files, to quote from them.
    """
    names = frozenset(known)
    found: list[Diagnostic] = []
    better = False  # than what clang suggests in its notes
    for line in text.splitlines():
        placed = _PLACED.match(line)
        match = placed or _UNPLACED.match(line)
        if match is None or re.match(r"\d+ (error|warning)", line):
            continue
        severity = match["severity"].removeprefix("fatal ")
        assert severity in ("error", "warning", "note")
        message = _plain(match["message"])
        if severity == "note" and better and _SUGGESTION.search(message):
            continue
        hint = _hint(message, names) if severity == "error" else ""
        if placed and severity == "error" and _UNCAST.search(message):
            hint = _uncast(placed, files or {})
        if severity != "note":
            unknown = _UNKNOWN.search(message)
            better = bool(unknown and renamed(unknown[1]))
        found.append(
            Diagnostic(
                file=_plain(placed["file"]) if placed else "",
                line=int(placed["line"]) if placed else 0,
                column=int(placed["column"]) if placed else 0,
                severity=severity,  # type: ignore[arg-type]
                message=message,
                hint=hint,
            )
        )
        if len(found) == MAX_MESSAGES:
            break
    return tuple(found)
