# SPDX-License-Identifier: GPL-2.0-or-later
"""A source after the preprocessor: its own lines, with their places, and those of shared code.

Lines of other headers are not kept.
"""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bpf.build.diagnostics import MAX_MESSAGES, Diagnostic, parse
from bpf.paths import INCLUDE, SHARED
from process import Fault, FaultType, ResourceLimits, run

VIEW = Path(__file__).resolve().parent / "view"
# An ordinary scheduler expands to 100 KB in 20 ms.
_LARGEST_BYTES = 8 << 20
_LIMIT_S = 20.0
_LIMITS = ResourceLimits(memory=1 << 30, cpu=10, file=_LARGEST_BYTES)
_MARKER = re.compile(r'# (\d+) "((?:[^"\\]|\\.)*)"')
BOMB = (
    "the expansion of the source's macros is too large",
    "write out the intended code: macros that call macros grow exponentially",
)


@dataclass(frozen=True)
class Expanded:
    """`lines` of the source's own files and of shared code; `places` has file and line of each."""

    lines: tuple[str, ...]
    places: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def place(self, row: int) -> tuple[str, int]:
        return self.places[row] if row < len(self.places) else ("", 0)


def expand(
    name: str, files: Mapping[str, bytes], clang: str, flags: tuple[str, ...]
) -> tuple[Expanded | None, tuple[Diagnostic, ...]]:
    """Run the preprocessor. Without a result the diagnostics say why.

    Args:
        name: which of the files is the scheduler; the others are its own headers.
        clang: the compiler's path.
        flags: target and standard, as in the build.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-static-") as place:
        work = Path(place)
        for each, data in files.items():
            (work / each).write_bytes(data)
        out = work / "expanded"
        words: list[str | Path] = [clang, *flags, "-I", VIEW, "-I", INCLUDE, "-I.", "-E", name]
        try:
            done = run([*words, "-o", out], timeout=_LIMIT_S, limits=_LIMITS, cwd=work, check=False)
        except Fault as fault:
            if fault.type is not FaultType.TIMEOUT:
                raise
            return None, (Diagnostic(name, 0, 0, "error", *BOMB),)
        if done.status != 0 or not out.is_file():
            text = done.error_text.replace(f"{VIEW}/", "").replace(f"{INCLUDE}/", "")
            said = tuple(each for each in parse(text) if each.line)
            errors = tuple(each for each in said if each.severity == "error")[:MAX_MESSAGES]
            return None, errors or (Diagnostic(name, 0, 0, "error", *BOMB),)
        text = out.read_text("utf-8", "replace")
    return _own(text, frozenset(files)), ()


_ACTIVE = re.compile(r"^#pragma schedpilot (\d+)$", re.MULTILINE)


def active_branches(
    name: str, marked: Mapping[str, str], clang: str, flags: tuple[str, ...]
) -> frozenset[int] | None:
    """Which branches of a source's `#if`s are active; None if the preprocessor fails.

    Args:
        name: which of the files is the scheduler.
        marked: their texts, as returned by `lexical.check_directives`.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-static-") as place:
        work = Path(place)
        for each, text in marked.items():
            (work / each).write_text(text)
        out = work / "expanded"
        words: list[str | Path] = [
            clang,
            *flags,
            "-I",
            VIEW,
            "-I",
            INCLUDE,
            "-I.",
            "-E",
            "-P",
            name,
        ]
        try:
            run([*words, "-o", out], timeout=_LIMIT_S, limits=_LIMITS, cwd=work)
        except Fault:
            return None
        return frozenset(int(each) for each in _ACTIVE.findall(out.read_text("utf-8", "replace")))


def _own(text: str, names: frozenset[str]) -> Expanded:
    lines: list[str] = []
    places: list[tuple[str, int]] = []
    file, line = "", 0
    shared = f"{SHARED.name}/"
    for each in text.split("\n"):
        marker = _MARKER.match(each)
        if marker:
            line = int(marker[1])
            file = marker[2].removeprefix("./").removeprefix(f"{INCLUDE}/")
            continue
        if (file in names or file.startswith(shared)) and each.strip():
            lines.append("" if each.lstrip().startswith("#pragma") else each)
            places.append((file, line))
        line += 1
    return Expanded(tuple(lines), tuple(places))
