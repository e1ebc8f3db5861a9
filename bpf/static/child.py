# SPDX-License-Identifier: GPL-2.0-or-later
"""The part of the static check that reads hostile text; runs confined.

Arguments are clang's path, the scheduler's name and clang's flags. Standard input is {file name:
text}, one of which is the scheduler; standard output is a list of diagnostics as JSON.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from bpf.build.diagnostics import MAX_MESSAGES, Diagnostic
from bpf.static.expand import active_branches, expand
from bpf.static.lexical import BranchFinding, check_characters, check_directives
from bpf.static.names import available_headers
from bpf.static.rules import check
from bpf.static.syntax import DEEPEST, read, too_deep


def examine(
    name: str, files: Mapping[str, bytes], clang: str, flags: Sequence[str]
) -> tuple[Diagnostic, ...]:
    """All problems of a source, nearest to its text first."""
    found: list[Diagnostic] = []
    includes = available_headers() | (set(files) - {name})
    doubts: list[BranchFinding] = []
    marked: dict[str, str] = {}
    last = 0
    for each, data in files.items():
        text, wrong = check_characters(data, each)
        found += wrong
        if not wrong:
            seen = check_directives(text, each, includes=includes, last=last)
            doubts += seen.doubts
            marked[each], last = seen.marked, seen.last
    found += _compiled(doubts, name, marked, clang, tuple(flags))
    if any(each.severity == "error" for each in found):
        return tuple(found[:MAX_MESSAGES])
    expanded, wrong = expand(name, files, clang, tuple(flags))
    if expanded is None:
        return (*found, *wrong)
    deep = too_deep(expanded)
    if deep is not None:
        file, line = expanded.place(deep)
        message = f"brackets are nested more than {DEEPEST} deep"
        return (*found, Diagnostic(file, line, 0, "error", message, "write it in smaller pieces"))
    found += check(read(expanded))
    found.sort(key=lambda each: each.severity != "error")
    return tuple(found[:MAX_MESSAGES])


def _compiled(
    doubts: Sequence[BranchFinding],
    name: str,
    marked: Mapping[str, str],
    clang: str,
    flags: tuple[str, ...],
) -> list[Diagnostic]:
    """The text that is compiled: not in the inactive branch of an `#if`."""
    active: frozenset[int] | None = None
    if any(each.branch for each in doubts):
        active = active_branches(name, marked, clang, flags)
    return [
        each.finding
        for each in doubts
        if not each.branch or active is None or each.branch in active
    ]


def main(words: Sequence[str]) -> int:
    clang, name, *flags = words
    files = {each: text.encode("latin-1") for each, text in json.load(sys.stdin).items()}
    print(json.dumps([asdict(each) for each in examine(name, files, clang, flags)]))
    return 0
