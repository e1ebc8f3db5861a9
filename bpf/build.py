# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler's C source to a BPF object, by a clang that can reach nothing else.

The source is hostile: clang sees it, our headers, this kernel's types and /usr, has no
network, no rights and limits on time, memory and files. What only depends on the kernel
and the compiler (the types and our headers, nine tenths of the parsing) is precompiled
once; what was compiled before comes from the cache.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bpf import cache
from bpf.clang import Clang, find_clang
from bpf.diagnostics import Diagnostic, parse
from bpf.kit import Kit, digest, kit_for, known_names
from bpf.kit import prepare as prepare  # callers know it from here
from bpf.vmlinux import BTF
from process import Fault, FaultType, Limits, Sandbox, sandboxed
from process.run import tail
from process.sandbox import build_user_id

MAX_SOURCE_BYTES = 1 << 20
# clang under emulation takes 5 s for an ordinary scheduler.
COMPILE_LIMIT_S = 120.0
_LIMITS = Limits(memory=4 << 30, cpu=100, file=64 << 20)
_KEPT_OBJECTS = 256
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")


@dataclass(frozen=True)
class BuildResult:
    """What became of one source.

    `object` is the BPF object where `ok`, else None. `seconds` of wall time, near zero when
    `cached`. `clang` says which compiler was used and why.
    """

    ok: bool
    object: Path | None
    diagnostics: tuple[Diagnostic, ...]
    seconds: float
    clang: str
    cached: bool = False

    def require(self) -> Path:
        """The object.

        Raises:
            Fault: BUILD_FAILED with the first error and all messages.
        """
        if self.object is not None:
            return self.object
        errors = [each for each in self.diagnostics if each.severity == "error"]
        first = errors[0] if errors else Diagnostic("", 0, 0, "error", "clang failed")
        raise Fault(
            FaultType.BUILD_FAILED,
            "the scheduler does not compile",
            where=f"{first.file}:{first.line}:{first.column}" if first.file else "",
            why=first.message,
            hint=first.hint or "see the messages",
            details=tuple(
                f"{each.file}:{each.line}:{each.column}: {each.severity}: {each.message}"
                for each in self.diagnostics
            ),
        )


def _starts_with_common(source: bytes) -> bool:
    """Whether the first directive includes our header: then its precompiled form is the same."""
    without = re.sub(rb"/\*.*?\*/|//[^\n]*", b"", source, flags=re.DOTALL)
    first = re.search(rb"^\s*#\s*(\w+)\s*(\S*)", without, flags=re.MULTILINE)
    return first is not None and first.groups() == (b"include", b"<scx/common.bpf.h>")


def _read(source: Path | str) -> bytes:
    if isinstance(source, str):
        data = source.encode("utf-8", "surrogatepass")
    else:
        try:
            with source.open("rb") as file:
                data = file.read(MAX_SOURCE_BYTES + 1)
        except OSError as error:
            raise Fault(
                FaultType.NOT_FOUND,
                "the source cannot be read",
                where=str(source),
                why=error.strerror or "",
            ) from None
    if len(data) > MAX_SOURCE_BYTES:
        raise Fault(
            FaultType.TOO_LARGE,
            "the source is too large",
            where=str(source) if isinstance(source, Path) else "",
            why=f"a scheduler's source may have {MAX_SOURCE_BYTES >> 20} MiB",
            hint="leave out what is generated, such as vmlinux.h",
        )
    return data


def _compile(
    clang: Clang, kit: Kit, name: str, files: dict[str, bytes]
) -> tuple[bytes | None, str]:
    """Run clang in the sandbox. Returns the object and what clang said."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-build-") as place:
        work = Path(place)
        # Whatever the umask, ours and the child's: both sides can read what the other wrote.
        out = work / "out.o"
        for path, data in {**{work / each: data for each, data in files.items()}, out: b""}.items():
            path.write_bytes(data)
            path.chmod(0o666 if path == out else 0o644)
        user = build_user_id()
        if user is not None:
            # By group, so that the service, which has neither CAP_CHOWN nor CAP_DAC_OVERRIDE, can
            # hand the folder out (it is a member) and read and remove what clang leaves in it.
            os.chown(work, -1, user[1])
            work.chmod(0o770)
        box = Sandbox(read=(kit.folder,), write=(work,), cwd=work, limits=_LIMITS)
        words = [clang.path, *kit.flags, "-I.", "-c", name, "-o", out.name]
        # Written in place, since a temporary file renamed would have the child's mode.
        words += ["-Xclang", "-fno-temp-file"]
        said = ""
        ways = [["-include-pch", str(kit.precompiled)], []] if kit.precompiled else [[]]
        if not _starts_with_common(files[name]):
            ways = [[]]
        for extra in ways:
            done = sandboxed([*words, *extra], box, timeout=COMPILE_LIMIT_S)
            said = done.error_text.replace(f"{kit.folder}/include/", "")
            said = said.replace(f"{kit.folder}/", "")
            if done.status == 0 and out.is_file() and not out.is_symlink():
                return out.read_bytes(), said
            # A compiler or library was replaced under the cache: do without it.
            if not re.search(r"precompiled|PCH|AST file", said):
                break
        if re.match(r"(bwrap|setpriv|prlimit): ", said) or not said.strip():
            raise Fault(
                FaultType.CHILD_FAILED,
                "clang could not be run in its sandbox",
                why=said.strip().splitlines()[0] if said.strip() else f"status {done.status}",
                hint="run `schedpilot doctor`: bubblewrap needs user namespaces",
                details=tail(done.stderr),
            )
        return None, said


@dataclass(frozen=True)
class _Outcome:
    """What the cache remembers of one source."""

    ok: bool
    diagnostics: tuple[Diagnostic, ...]


def _recall(about: Path, kept: Path) -> _Outcome | None:
    """A remembered outcome; None where there is none, or its object was thrown away."""
    try:
        content = json.loads(about.read_bytes())
        found = tuple(Diagnostic(**each) for each in content["diagnostics"])
        outcome = _Outcome(bool(content["ok"]), found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return outcome if kept.is_file() or not outcome.ok else None


def build_object(
    source: Path | str,
    out_dir: Path,
    *,
    name: str = "",
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    cache_folder: Path | None = None,
) -> BuildResult:
    """Compile one scheduler.

    Args:
        source: a file, or the text itself.
        out_dir: gets `NAME.bpf.o`; made when missing.
        name: file name for messages and the object; by default the source's.
        headers: files that the source includes by name from beside it.
        btf: the kernel to build for.

    Raises:
        Fault: TOO_LARGE, BAD_NAME, NOT_FOUND, MISSING_TOOL, UNSUPPORTED without BTF, STATE,
            TIMEOUT, CHILD_FAILED when
            the sandbox does not work. A source that does not compile is a result and not a fault.
    """
    start = time.monotonic()
    name = name or (source.name if isinstance(source, Path) else "candidate.bpf.c")
    for each, end in ((name, ".c"), *((header.name, ".h") for header in headers)):
        if not _NAME.fullmatch(each) or not each.endswith(end):
            raise Fault(FaultType.BAD_NAME, f"{each!r} is no file name for a source")
    files = {header.name: _read(header) for header in headers} | {name: _read(source)}
    clang = find_clang()
    kit = kit_for(clang, btf, cache_folder)
    objects = cache.folder(cache_folder) / "objects"
    key = digest(kit.key, name, *(part for pair in sorted(files.items()) for part in pair))
    about = objects / f"{key}.json"
    kept = objects / f"{key}.o"
    target = out_dir / f"{name.removesuffix('.c').removesuffix('.bpf')}.bpf.o"
    known = _recall(about, kept)
    cached = known is not None
    if known is None:
        data, said = _compile(clang, kit, name, files)
        known = _Outcome(data is not None, parse(said, known=known_names()))
        if data is not None:
            cache.write(kept, data)
        # Trouble that clang places in no line is this machine's and may pass.
        if known.ok or any(each.line for each in known.diagnostics):
            cache.write(about, json.dumps(asdict(known)).encode())
        cache.prune(objects, keep=_KEPT_OBJECTS * 2)
    if known.ok:
        out_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, f"{target}.new")
        Path(f"{target}.new").replace(target)
    return BuildResult(
        ok=known.ok,
        object=target if known.ok else None,
        diagnostics=known.diagnostics,
        seconds=time.monotonic() - start,
        clang=f"clang {clang.version}: {clang.why}",
        cached=cached,
    )
