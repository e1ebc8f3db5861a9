# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler's C source to a BPF object, by a clang that can reach nothing else.

The source is hostile: clang sees it, our headers, this kernel's types and /usr, has no
network, no rights and limits on time, memory and files. What only depends on the kernel
and the compiler (the types and our headers, nine tenths of the parsing) is precompiled
once; what was compiled before comes from the cache.
"""

import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from bpf import cache
from bpf.clang import Clang, find_clang
from bpf.diagnostics import Diagnostic, parse
from bpf.paths import INCLUDE
from bpf.vmlinux import BTF, btf_digest, vmlinux_header
from process import Fault, FaultType, Limits, Sandbox, run, sandboxed
from process.run import tail
from process.sandbox import build_user_id

MAX_SOURCE_BYTES = 1 << 20
# clang under emulation takes 5 s for an ordinary scheduler.
COMPILE_LIMIT_S = 120.0
_LIMITS = Limits(memory=4 << 30, cpu=100, file=64 << 20)
_KEPT_OBJECTS = 256
_ARCHITECTURES = {
    "x86_64": "x86",
    "aarch64": "arm64",
    "riscv64": "riscv",
    "s390x": "s390",
    "ppc64le": "powerpc",
    "loongarch64": "loongarch",
}
_FLAGS = (
    "-g",
    "-O2",
    "-target",
    "bpf",
    "-mcpu=v3",
    "-std=gnu11",
    "-fms-extensions",
    "-Wall",
    "-Wno-unused-function",
    "-Wno-compare-distinct-pointer-types",
    "-Wno-microsoft-anon-tag",
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-fdiagnostics-show-option",
    "-ferror-limit=20",
)
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


@dataclass(frozen=True)
class _Kit:
    """What every build against one kernel shares; all of it in one folder of the cache."""

    folder: Path
    key: str
    flags: tuple[str, ...]
    precompiled: Path | None


def _flags(folder: Path) -> tuple[str, ...]:
    machine = platform.machine()
    return (
        *_FLAGS,
        f"-D__TARGET_ARCH_{_ARCHITECTURES.get(machine, machine)}",
        f"-I{folder / 'include'}",
        f"-I{folder}",
        # <linux/types.h> and the like want asm/, which Debian keeps apart by machine.
        "-idirafter",
        f"/usr/include/{machine}-linux-gnu",
    )


@lru_cache(maxsize=4)
def _own_headers() -> tuple[tuple[str, bytes], ...]:
    files = sorted(INCLUDE.rglob("*.h"))
    return tuple((str(path.relative_to(INCLUDE)), path.read_bytes()) for path in files)


def _digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _system_headers() -> str:
    """Tells one version of libbpf's headers from another."""
    stats = [(path.name, path.stat()) for path in sorted(Path("/usr/include/bpf").glob("*.h"))]
    if not stats:
        raise Fault(
            FaultType.MISSING_TOOL,
            "libbpf's headers are not installed",
            where="/usr/include/bpf",
            hint="apt install libbpf-dev",
        )
    return repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats])


def _kit(clang: Clang, btf: Path, cache_folder: Path | None) -> _Kit:
    """The shared part, made when it is not there yet."""
    own = _own_headers()
    key = _digest(
        btf_digest(btf),
        clang.path,
        clang.version,
        _system_headers(),
        repr(_flags(Path())),
        *(part for pair in own for part in pair),
    )
    folder = cache.folder(cache_folder) / "kits" / key
    flags = _flags(folder)
    precompiled = folder / "common.pch"
    if not (folder / "done").is_file():
        for name, data in own:
            cache.write(folder / "include" / name, data)
        header = vmlinux_header(btf, cache_folder=cache_folder)
        cache.write(folder / "vmlinux.h", header.read_bytes())
        cache.write(folder / "all.h", b"#include <scx/common.bpf.h>\n")
        words: list[str | Path] = [
            clang.path,
            *flags,
            "-x",
            "c-header",
            folder / "all.h",
            "-o",
            f"{precompiled}.new",
        ]
        made = run(words, timeout=COMPILE_LIMIT_S, check=False)
        if made.status == 0:
            Path(f"{precompiled}.new").chmod(0o644)
            Path(f"{precompiled}.new").replace(precompiled)
        cache.write(folder / "done", made.stderr)
        cache.prune(folder.parent, keep=4)
    return _Kit(folder, key, flags, precompiled if precompiled.is_file() else None)


def prepare(btf: Path = BTF, *, cache_folder: Path | None = None) -> None:
    """Make what all builds share ahead of the first one.

    Raises:
        Fault: MISSING_TOOL, UNSUPPORTED without BTF, STATE.
    """
    _kit(find_clang(), btf, cache_folder)


def _starts_with_common(source: bytes) -> bool:
    """Whether the first directive includes our header: then its precompiled form is the same."""
    without = re.sub(rb"/\*.*?\*/|//[^\n]*", b"", source, flags=re.DOTALL)
    first = re.search(rb"^\s*#\s*(\w+)\s*(\S*)", without, flags=re.MULTILINE)
    return first is not None and first.groups() == (b"include", b"<scx/common.bpf.h>")


@lru_cache(maxsize=1)
def _known_names() -> tuple[str, ...]:
    """Names our headers declare or define, for suggestions."""
    text = b"\n".join(data for _, data in _own_headers()).decode()
    return tuple(sorted(set(re.findall(r"\b(?:scx_|bpf_|SCX_|UEI_|BPF_|time_|cmask_)\w+", text))))


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
    clang: Clang, kit: _Kit, name: str, files: dict[str, bytes]
) -> tuple[bytes | None, str]:
    """Run clang in the sandbox. Returns the object and what clang said."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-build-") as place:
        work = Path(place)
        for each, data in files.items():
            (work / each).write_bytes(data)
        user = build_user_id()
        if user is not None:
            for path in (work, *work.iterdir()):
                os.chown(path, *user)
        box = Sandbox(read=(kit.folder,), write=(work,), cwd=work, limits=_LIMITS)
        words = [clang.path, *kit.flags, "-I.", "-c", name, "-o", "out.o"]
        said = ""
        ways = [["-include-pch", str(kit.precompiled)], []] if kit.precompiled else [[]]
        if not _starts_with_common(files[name]):
            ways = [[]]
        for extra in ways:
            done = sandboxed([*words, *extra], box, timeout=COMPILE_LIMIT_S)
            said = done.error_text.replace(f"{kit.folder}/include/", "")
            said = said.replace(f"{kit.folder}/", "")
            out = work / "out.o"
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
    for each in (name, *(header.name for header in headers)):
        if not _NAME.fullmatch(each):
            raise Fault(FaultType.BAD_NAME, f"{each!r} is no file name for a source")
    files = {header.name: _read(header) for header in headers} | {name: _read(source)}
    clang = find_clang()
    kit = _kit(clang, btf, cache_folder)
    objects = cache.folder(cache_folder) / "objects"
    key = _digest(kit.key, name, *(part for pair in sorted(files.items()) for part in pair))
    about = objects / f"{key}.json"
    kept = objects / f"{key}.o"
    target = out_dir / f"{name.removesuffix('.c').removesuffix('.bpf')}.bpf.o"
    cached = about.is_file()
    if not cached:
        data, said = _compile(clang, kit, name, files)
        found = parse(said, known=_known_names())
        if data is not None:
            cache.write(kept, data)
        cache.write(about, json.dumps([asdict(each) for each in found]).encode())
        cache.prune(objects, keep=_KEPT_OBJECTS * 2)
    diagnostics = tuple(Diagnostic(**each) for each in json.loads(about.read_bytes()))
    ok = kept.is_file()
    if ok:
        out_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(kept, f"{target}.new")
        Path(f"{target}.new").replace(target)
    return BuildResult(
        ok=ok,
        object=target if ok else None,
        diagnostics=diagnostics,
        seconds=time.monotonic() - start,
        clang=f"clang {clang.version}: {clang.why}",
        cached=cached,
    )


async def build_object_async(
    source: Path | str, out_dir: Path, *, name: str = "", headers: Sequence[Path] = ()
) -> BuildResult:
    """`build_object` without holding up the event loop; raises as it does."""
    return await asyncio.to_thread(build_object, source, out_dir, name=name, headers=headers)
