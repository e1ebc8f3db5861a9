# SPDX-License-Identifier: GPL-2.0-or-later
"""The static check: finds problems in a scheduler's source before anything is built from it.

The source is hostile. It is read once, within a limit, and everything that parses it runs in a
confined child without privileges, network or files other than our headers.
"""

import json
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from bpf.build.clang import find_clang
from bpf.build.diagnostics import Diagnostic
from bpf.build.kit import language_flags
from bpf.build.sources import files_of
from process import Fault, FaultType, ResourceLimits, Sandbox, printable, sandboxed
from process.run import Completed
from process.sandbox import confined

_ROOT = Path(__file__).resolve().parents[2]
# Emulated machines take fifteen times the 0.2 s that an ordinary scheduler takes.
CHECK_LIMIT_S = 60.0
_LIMITS = ResourceLimits(memory=2 << 30, cpu=30, file=16 << 20)
# Isolated, so that only these two folders are searched for code.
_START = (
    "import importlib, sys; sys.path += sys.argv[1:3]; "
    "sys.exit(importlib.import_module('bpf.static.' + sys.argv[3]).main(sys.argv[4:]))"
)
_ABOUT_THE_SOURCE = (FaultType.BAD_NAME, FaultType.TOO_LARGE, FaultType.BAD_REQUEST)


def check_source(source: Path, *, headers: Sequence[Path] = ()) -> tuple[Diagnostic, ...]:
    """The problems of a source; errors first, and an error stops the candidate.

    Nothing is read but `source` and `headers`, which it may include by name from its own folder.

    Raises:
        Fault: NOT_FOUND, MISSING_TOOL, CHILD_FAILED if the sandbox does not work. Problems of the
            source, including its size or its kind of file, are diagnostics.
    """
    files = contents(source, headers)
    return files if isinstance(files, tuple) else _examined(source.name, files)


def contents(
    source: Path, headers: Sequence[Path] = ()
) -> Mapping[str, bytes] | tuple[Diagnostic, ...]:
    """The check's input, by file name; or the problem of the file itself.

    Raises:
        Fault: NOT_FOUND.
    """
    try:
        return files_of(source, source.name, headers)
    except Fault as fault:
        if fault.type not in _ABOUT_THE_SOURCE:
            raise
        file = printable(source.name)
        message = fault.what + (f": {fault.why}" if fault.why else "")
        return (Diagnostic(file[:100], 0, 0, "error", message, fault.hint),)


def _open_to_others(path: Path) -> bool:
    """Whether the confined child, which is another user if we are root, can get there."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def _interpreter() -> Path:
    """A Python of this version that the confined child may run."""
    own = Path(sys.executable).resolve()
    if _open_to_others(own):
        return own
    # One in a home folder, as from pyenv: the packages fit any other of the same version.
    return Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")


def _within_reach(folder: Path, packages: Sequence[str], place: Path) -> Path:
    """The folder, or a copy of these packages if it is closed to others."""
    if _open_to_others(folder):
        return folder
    for name in packages:
        shutil.copytree(folder / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for each in (place, *place.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return place


def _packages() -> Path:
    """The folder of the parser's packages, which this process does not load itself."""
    found = find_spec("tree_sitter")
    if found is None or found.origin is None:
        raise Fault(
            FaultType.MISSING_TOOL,
            "the parser for C is not installed",
            hint="pip install tree-sitter tree-sitter-c",
        )
    return Path(found.origin).resolve().parents[1]


def _examined(name: str, files: Mapping[str, bytes]) -> tuple[Diagnostic, ...]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-static-") as place:
        Path(place).chmod(0o755)
        try:
            done = _run(name, files, Path(place))
        except Fault as fault:
            if fault.type is not FaultType.TIMEOUT:
                raise
            return (too_much(name),)
    if done.status != 0:
        if re.match(r"(bwrap|setpriv|prlimit): ", done.error_text):
            raise Fault(
                FaultType.CHILD_FAILED,
                "the static check could not be run in its sandbox",
                why=done.error_text.strip().splitlines()[0],
                hint="run `schedpilot doctor`: bubblewrap needs user namespaces",
            )
        if "MemoryError" in done.error_text or done.status < 0 or done.status > 128:
            return (too_much(name),)
        raise Fault(
            FaultType.CHILD_FAILED,
            "the static check ended without an answer",
            why=(done.error_text.strip().splitlines() or [f"status {done.status}"])[-1],
            details=tuple(done.error_text.splitlines()[-20:]),
        )
    return tuple(Diagnostic(**each) for each in json.loads(done.stdout))


def _box(place: Path) -> tuple[list[str | Path], Sandbox]:
    """A Python with our code and the parser, and what it may read; copies go to `place`."""
    python = _interpreter()
    code = _within_reach(_ROOT, ("bpf", "process"), place / "code")
    packages = _within_reach(_packages(), ("tree_sitter", "tree_sitter_c"), place / "packages")
    prefix = () if python.is_relative_to("/usr") else (python.parents[1],)
    return [python, "-I", "-B", "-c", _START, code, packages], Sandbox(
        read=(*prefix, code, packages), limits=_LIMITS
    )


def _run(name: str, files: Mapping[str, bytes], place: Path) -> Completed:
    python, box = _box(place)
    words = [*python, "child", find_clang().path, name]
    text = json.dumps({each: data.decode("latin-1") for each, data in files.items()})
    return sandboxed([*words, *language_flags()], box, timeout=CHECK_LIMIT_S, input=text.encode())


def server(place: Path) -> list[str]:
    """The command of `bpf.static.serve`, confined; `place` is its own folder.

    Raises:
        Fault: MISSING_TOOL.
    """
    python, box = _box(place)
    words = [*python, "serve", find_clang().path, *language_flags()]
    # Each fork has its own limit on its CPU time.
    return [*replace(_LIMITS, cpu=0).arguments(), *confined(words, box)]


def too_much(name: str) -> Diagnostic:
    return Diagnostic(
        name,
        0,
        0,
        "error",
        "reading the source takes too much time or memory",
        "write a smaller source, with macros that do not call one another",
    )
