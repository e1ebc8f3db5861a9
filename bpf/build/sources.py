# SPDX-License-Identifier: GPL-2.0-or-later
"""A candidate's source on its way to a compiler, and the compiler's confinement.

Sources for BPF and for the simulator are handled in the same way: names that cannot lead anywhere,
a bounded size, a separate folder, and a clang that reaches nothing else.
"""

import errno
import os
import re
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bpf.build.diagnostics import Diagnostic
from process import Fault, FaultType, ResourceLimits, Sandbox, sandboxed
from process.run import tail
from process.sandbox import hand_out

MAX_SOURCE_BYTES = 1 << 20
# clang under emulation takes 5 s for an ordinary scheduler.
COMPILE_LIMIT_S = 120.0
LIMITS = ResourceLimits(memory=4 << 30, cpu=100, file=64 << 20)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")


def name_of(source: Path | str, name: str) -> str:
    """The file name for messages: as requested, else the source's."""
    return name or (source.name if isinstance(source, Path) else "candidate.bpf.c")


def files_of(source: Path | str, name: str, headers: Sequence[Path]) -> dict[str, bytes]:
    """The source and the headers that it includes from its own folder, by file name.

    Raises:
        Fault: BAD_NAME, TOO_LARGE, NOT_FOUND, BAD_REQUEST for anything that is not an ordinary
            file.
    """
    for each, end in ((name, ".c"), *((header.name, ".h") for header in headers)):
        if not _NAME.fullmatch(each) or not each.endswith(end):
            raise Fault(
                FaultType.BAD_NAME,
                f"{each!r} is not a file name for a source",
                hint=f"letters, digits, '_', '.' and '-', and {end} at the end",
            )
    return {header.name: _read(header) for header in headers} | {name: _read(source)}


# A header included by name from the source's folder, with no path that leads elsewhere.
_OWN = re.compile(
    rb'^[ \t]*#[ \t]*include[ \t]*"([A-Za-z0-9_][A-Za-z0-9_.-]{0,100}\.h)"', re.MULTILINE
)
# We provide the kernel's types.
_NEVER_OWN = "vmlinux.h"
_MOST_HEADERS = 32


def own_headers(source: Path, folder: Path) -> tuple[Path, ...]:
    """The headers in a folder that a source, or one of these headers, includes by name.

    Raises:
        Fault: as `files_of`; TOO_LARGE for too many, or too much in all.
    """
    found: dict[str, Path] = {}
    total, queue = 0, [_read(source)]
    while queue:
        for each in _OWN.findall(queue.pop()):
            name = each.decode()
            path = folder / name
            if name in found or name == _NEVER_OWN or not os.path.lexists(path):
                continue
            found[name] = path
            data = _read(path)
            queue.append(data)
            total += len(data)
            if len(found) > _MOST_HEADERS or total > MAX_SOURCE_BYTES:
                raise Fault(
                    FaultType.TOO_LARGE,
                    "the source's own headers are too large",
                    where=str(folder),
                    why=f"a source may have {_MOST_HEADERS} of its own, of "
                    f"{MAX_SOURCE_BYTES >> 20} MiB in all",
                    hint="leave out generated files, such as vmlinux.h",
                )
    return tuple(found[name] for name in sorted(found))


def _read(source: Path | str) -> bytes:
    if isinstance(source, str):
        data = source.encode("utf-8", "surrogatepass")
    else:
        data = _read_file(source)
    if len(data) > MAX_SOURCE_BYTES:
        raise Fault(
            FaultType.TOO_LARGE,
            "the source is too large",
            where=str(source) if isinstance(source, Path) else "",
            why=f"a scheduler's source may have {MAX_SOURCE_BYTES >> 20} MiB",
            hint="leave out generated files, such as vmlinux.h",
        )
    return data


def _read_file(path: Path) -> bytes:
    """The beginning of a regular file, without following a link or waiting for a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _no_file(path, "it is a symbolic link") from None
        raise Fault(
            FaultType.NOT_FOUND,
            "the source cannot be read",
            where=str(path),
            why=error.strerror or "",
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _no_file(path, "it is a folder, a device or a pipe")
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_SOURCE_BYTES + 1)
    finally:
        os.close(handle)


def _no_file(path: Path, why: str) -> Fault:
    return Fault(
        FaultType.BAD_REQUEST,
        "the source is not an ordinary file",
        where=str(path),
        why=why,
        hint="give the file itself",
    )


@dataclass(frozen=True)
class ClangResult:
    """The result of a confined clang: the object or library if it compiled, and its messages."""

    data: bytes | None
    said: str


def compile_confined(
    words: Sequence[str | Path], files: Mapping[str, bytes], read: Sequence[Path]
) -> ClangResult:
    """Run clang in a separate folder that contains only `files`; `-o` and the name are added.

    Args:
        words: the compiler and its options.
        files: by name.
        read: further folders that it may read; their names are removed from its messages.

    Raises:
        Fault: CHILD_FAILED if clang could not run at all, MISSING_TOOL, TIMEOUT.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-build-") as place:
        work = Path(place)
        # Independent of both umasks, ours and the child's, so that both sides can read the other's
        # files.
        out = work / "out.o"
        for path, data in {**{work / name: data for name, data in files.items()}, out: b""}.items():
            path.write_bytes(data)
            path.chmod(0o666 if path == out else 0o644)
        hand_out(work)
        box = Sandbox(read=tuple(read), write=(work,), cwd=work, limits=LIMITS)
        done = sandboxed([*words, "-o", out.name], box, timeout=COMPILE_LIMIT_S, name="clang")
        said = done.error_text
        for folder in read:
            said = said.replace(f"{folder}/include/", "").replace(f"{folder}/", "")
        if done.status == 0 and out.is_file() and not out.is_symlink():
            return ClangResult(out.read_bytes(), said)
    if not said.strip() and (done.status < 0 or done.status > 128):
        # A source too deep for its stack, or too large for its limits, so that clang printed
        # nothing.
        return ClangResult(None, f"error: clang was ended by signal {abs(done.status) & 127}")
    if re.match(r"(bwrap|setpriv|prlimit|nice): ", said) or not said.strip():
        raise Fault(
            FaultType.CHILD_FAILED,
            "clang could not be run in its sandbox",
            why=said.strip().splitlines()[0] if said.strip() else f"status {done.status}",
            hint="run `schedpilot doctor`: bubblewrap needs user namespaces",
            details=tail(done.stderr),
        )
    return ClangResult(None, said)


def build_failed(what: str, diagnostics: Sequence[Diagnostic]) -> Fault:
    """BUILD_FAILED with the first error and all messages."""
    errors = [each for each in diagnostics if each.severity == "error"]
    first = errors[0] if errors else Diagnostic("", 0, 0, "error", "clang failed")
    return Fault(
        FaultType.BUILD_FAILED,
        what,
        where=f"{first.file}:{first.line}:{first.column}" if first.file else "",
        why=first.message,
        hint=first.hint or "see the messages",
        details=tuple(
            f"{each.file}:{each.line}:{each.column}: {each.severity}: {each.message}"
            for each in diagnostics
        ),
    )
