# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles a scheduler's C source to a BPF object, with a clang that can reach nothing else.

The source is hostile: clang sees it, our headers, this kernel's types and /usr, has no network, no
rights and limits on time, memory and files. The parts that depend only on the kernel and the
compiler (the types and our headers, nine tenths of the parsing) are precompiled once; results of
earlier compilations come from the cache.
"""

import json
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from bpf.build import cache, diagnostics
from bpf.build.clang import Clang, find_clang
from bpf.build.diagnostics import Diagnostic, parse
from bpf.build.kit import Kit, digest, kit_for, known_names
from bpf.build.kit import prepare as prepare  # callers know it from here
from bpf.build.sources import MAX_SOURCE_BYTES as MAX_SOURCE_BYTES  # likewise
from bpf.build.sources import ClangResult, build_failed, compile_confined, files_of, name_of
from bpf.build.vmlinux import BTF
from bpf.kernel import unmet

_KEPT_OBJECTS = 256


@dataclass(frozen=True)
class BuildResult:
    """The result for one source. It is not `ok` either if the kernel lacks what it calls.

    `object` is the BPF object if `ok`, else None. `seconds` of wall time, near zero if `cached`.
    `clang` says which compiler was used and why.
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
        raise build_failed("the scheduler does not compile", self.diagnostics)


def starts_with_common(source: bytes) -> bool:
    """Whether the first directive includes our header: then its precompiled form is the same."""
    without = re.sub(rb"/\*.*?\*/|//[^\n]*", b"", source, flags=re.DOTALL)
    first = re.search(rb"^\s*#\s*(\w+)\s*(\S*)", without, flags=re.MULTILINE)
    return first is not None and first.groups() == (b"include", b"<scx/common.bpf.h>")


def _compile(clang: Clang, kit: Kit, name: str, files: dict[str, bytes]) -> ClangResult:
    """Run clang in the sandbox, with the precompiled parts as far as they can be used."""
    # Written in place, because a renamed temporary file would have the child's mode.
    words = [clang.path, *kit.flags, "-I.", "-c", name, "-Xclang", "-fno-temp-file"]
    if kit.precompiled and starts_with_common(files[name]):
        done = compile_confined(
            [*words, "-include-pch", str(kit.precompiled)], files, (kit.folder,)
        )
        # A compiler or library was replaced since the cache was filled: do without the cache.
        if done.data is not None or not re.search(r"precompiled|PCH|AST file", done.said):
            return done
    return compile_confined(words, files, (kit.folder,))


@dataclass(frozen=True)
class _BuildOutcome:
    """The cached result of one source."""

    ok: bool
    diagnostics: tuple[Diagnostic, ...]


@lru_cache(maxsize=1)
def _words() -> str:
    """Changes with the messages and hints, so that no old ones are kept."""
    return digest(*(Path(str(each.__file__)).read_bytes() for each in (diagnostics, unmet)))[:16]


def _recall(about: Path, kept: Path) -> _BuildOutcome | None:
    """A cached result; None if there is none, or its object was removed."""
    try:
        content = json.loads(about.read_bytes())
        found = tuple(Diagnostic(**each) for each in content["diagnostics"])
        outcome = _BuildOutcome(bool(content["ok"]), found)
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
        out_dir: gets `NAME.bpf.o`; made if it does not exist.
        name: file name for messages and the object; default: the source's.
        headers: files that the source includes by name from its own folder.
        btf: the kernel to build for.

    Raises:
        Fault: TOO_LARGE, BAD_NAME, NOT_FOUND, MISSING_TOOL, UNSUPPORTED without BTF, STATE,
            TIMEOUT, CHILD_FAILED if the sandbox does not work. A source that does not compile is a
            result, not a fault.
    """
    start = time.monotonic()
    name = name_of(source, name)
    files = files_of(source, name, headers)
    clang = find_clang()
    kit = kit_for(clang, btf, cache_folder)
    objects = cache.folder(cache_folder) / "objects"
    key = digest(kit.key, name, *(part for pair in sorted(files.items()) for part in pair))
    about = objects / f"{key}-{_words()}.json"
    kept = objects / f"{key}.o"
    target = out_dir / f"{name.removesuffix('.c').removesuffix('.bpf')}.bpf.o"
    known = _recall(about, kept)
    cached = known is not None
    if known is None:
        done = _compile(clang, kit, name, files)
        said = parse(done.said, known=known_names(), files=files)
        lacking: tuple[Diagnostic, ...] = ()
        if done.data is not None:
            kernel = unmet.features_of(btf, cache_folder=cache_folder)
            lacking = unmet.unmet(done.data, kernel, files, name)
        known = _BuildOutcome(done.data is not None and not lacking, (*lacking, *said))
        if done.data is not None and known.ok:
            cache.write(kept, done.data)
        # An error without a line in the source belongs to this machine and may pass.
        if known.ok or lacking or any(each.line for each in known.diagnostics):
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
