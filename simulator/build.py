# SPDX-License-Identifier: GPL-2.0-only
"""The candidate's source as native code, and the engine that runs it.

The same source that becomes a BPF object is compiled for this machine's CPU, with headers of
ours in place of libbpf's. It is as hostile as ever: clang runs confined, and so will the code.
"""

import fcntl
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bpf import cache
from bpf.build import MAX_SOURCE_BYTES
from bpf.clang import Clang, find_clang
from bpf.diagnostics import Diagnostic, parse
from bpf.kit import Kit, digest, kit_for, known_names
from bpf.vmlinux import BTF
from process import Fault, FaultType, Limits, Sandbox, run, sandboxed
from process.run import tail
from process.sandbox import build_user_id

_PACKAGE = Path(__file__).resolve().parent
COMPILE_LIMIT_S = 120.0
_LIMITS = Limits(memory=4 << 30, cpu=100, file=64 << 20)
_KEPT_ENGINES = 4
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}")

# What the kernel's types need, native or not.
_KERNEL_FLAGS = (
    "-std=gnu11",
    "-fms-extensions",
    "-DBPF_NO_PRESERVE_ACCESS_INDEX",
    "-Wno-microsoft-anon-tag",
    "-Wno-missing-declarations",
    "-O2",
)
_CANDIDATE_FLAGS = (
    *_KERNEL_FLAGS,
    "-g1",
    "-fPIC",
    "-shared",
    "-nostdlib",
    # No meaning for libc's names, and the candidate's own before the engine's.
    "-ffreestanding",
    "-Wl,-Bsymbolic",
    "-Wl,-z,noexecstack",
    # BPF wraps where C leaves it open, and dividing by zero is caught.
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fno-delete-null-pointer-checks",
    # What a source can ask the preprocessor is answered as in the build for BPF, so that the
    # code is the same.
    "-D__bpf__=1",
    "-D__BPF__=1",
    *(f"-U{name}" for name in ("__x86_64__", "__x86_64", "__amd64__", "__amd64", "__aarch64__")),
    *(f"-U{name}" for name in ("__linux__", "__linux", "linux", "__gnu_linux__", "__unix__")),
    "-w",
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-ferror-limit=20",
)
_UNDECLARED = re.compile(r"call to undeclared (?:library )?function '(\w+)'")


@dataclass(frozen=True)
class Engine:
    """The engine for one kernel's types, and the headers that a candidate is compiled with."""

    program: Path
    shim: Path
    kit: Kit


@dataclass(frozen=True)
class NativeBuild:
    """What became of one source: `library` is None where it does not compile natively.

    `not_modelled` names the helpers and kfuncs that it calls and the simulator has not.
    """

    library: Path | None
    diagnostics: tuple[Diagnostic, ...]
    not_modelled: tuple[str, ...]
    seconds: float

    def require(self) -> Path:
        """The library.

        Raises:
            Fault: UNSUPPORTED where something is not modelled, else BUILD_FAILED.
        """
        if self.library is not None:
            return self.library
        if self.not_modelled:
            raise Fault(
                FaultType.UNSUPPORTED,
                "the simulator cannot run this scheduler",
                why=f"not modelled: {', '.join(f'{name}()' for name in self.not_modelled)}",
                hint="do without, or try it in the lab",
            )
        errors = [each for each in self.diagnostics if each.severity == "error"]
        first = errors[0] if errors else Diagnostic("", 0, 0, "error", "clang failed")
        raise Fault(
            FaultType.BUILD_FAILED,
            "the scheduler does not compile natively",
            where=f"{first.file}:{first.line}:{first.column}" if first.file else "",
            why=first.message,
            hint=first.hint or "see the messages",
            details=tuple(
                f"{each.file}:{each.line}:{each.column}: {each.severity}: {each.message}"
                for each in self.diagnostics
            ),
        )


def _sources() -> list[tuple[str, bytes]]:
    files = [*sorted(_PACKAGE.glob("engine/*")), *sorted(_PACKAGE.glob("shim/bpf/*.h"))]
    return [(str(path.relative_to(_PACKAGE)), path.read_bytes()) for path in files]


def engine_for(btf: Path = BTF, *, cache_folder: Path | None = None) -> Engine:
    """The engine, compiled when it is not in the cache.

    It reads and writes the kernel's own struct task_struct, so there is one for each kernel.

    Raises:
        Fault: MISSING_TOOL, UNSUPPORTED without BTF, STATE, CHILD_FAILED.
    """
    clang = find_clang()
    kit = kit_for(clang, btf, cache_folder)
    sources = _sources()
    key = digest(kit.key, *_KERNEL_FLAGS, *(part for pair in sources for part in pair))
    folder = cache.folder(cache_folder) / "simulators" / key
    made = Engine(folder / "simulate", folder / "shim", kit)
    if not (folder / "done").is_file():
        cache.make(folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "done").is_file():
                _make_engine(clang, kit, folder, sources)
        cache.prune(folder.parent, keep=_KEPT_ENGINES)
    return made


def _make_engine(clang: Clang, kit: Kit, folder: Path, sources: list[tuple[str, bytes]]) -> None:
    for name, data in sources:
        cache.write(folder / name, data)
    units = sorted(name for name, _ in sources if name.endswith(".c"))
    new = folder / "simulate.new"
    done = run(
        [
            clang.path,
            *_KERNEL_FLAGS,
            "-g1",
            f"-I{kit.folder}",
            *units,
            "-o",
            new,
            "-Wl,--dynamic-list=engine/exports",
            "-lbpf",
        ],
        timeout=COMPILE_LIMIT_S,
        cwd=folder,
        check=False,
    )
    if done.status != 0:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the simulator's engine does not compile",
            where=str(folder / "engine"),
            hint="apt install libbpf-dev; if it is there, this kernel's types are too different",
            details=tail(done.stderr),
        )
    new.chmod(0o755)
    new.replace(folder / "simulate")
    cache.write(folder / "done", done.stderr)


def _read(source: Path | str) -> bytes:
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else b""
    if isinstance(source, Path):
        with source.open("rb") as file:
            data = file.read(MAX_SOURCE_BYTES + 1)
    if len(data) > MAX_SOURCE_BYTES:
        raise Fault(
            FaultType.TOO_LARGE,
            "the source is too large",
            why=f"a scheduler's source may have {MAX_SOURCE_BYTES >> 20} MiB",
        )
    return data


def hand_out(folder: Path) -> None:
    """Let the confined child, which is another user where we are root, into a folder."""
    user = build_user_id()
    if user is not None:
        os.chown(folder, -1, user[1])
        folder.chmod(0o770)


def build_native(
    source: Path | str,
    out_dir: Path,
    *,
    name: str = "",
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    cache_folder: Path | None = None,
) -> NativeBuild:
    """Compile one scheduler for the simulator.

    Args:
        source: a file, or the text itself; what also `bpf.build.build_object` gets.
        out_dir: gets `NAME.so`; made when missing.
        name: file name for messages and the library; by default the source's.
        headers: files that the source includes by name from beside it.

    Raises:
        Fault: TOO_LARGE, BAD_NAME, MISSING_TOOL, UNSUPPORTED without BTF, STATE, TIMEOUT,
            CHILD_FAILED. A source that does not compile is a result and not a fault.
    """
    start = time.monotonic()
    name = name or (source.name if isinstance(source, Path) else "candidate.bpf.c")
    for each, end in ((name, ".c"), *((header.name, ".h") for header in headers)):
        if not _NAME.fullmatch(each) or not each.endswith(end):
            raise Fault(FaultType.BAD_NAME, f"{each!r} is no file name for a source")
    engine = engine_for(btf, cache_folder=cache_folder)
    files = {header.name: _read(header) for header in headers} | {name: _read(source)}
    data, said = _compile(engine, name, files)
    diagnostics, missing = _explain(parse(said, known=known_names()))
    library = None
    if data is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
        library = out_dir / f"{name.removesuffix('.c').removesuffix('.bpf')}.so"
        library.write_bytes(data)
    return NativeBuild(library, diagnostics, missing, time.monotonic() - start)


def _explain(
    said: tuple[Diagnostic, ...],
) -> tuple[tuple[Diagnostic, ...], tuple[str, ...]]:
    """Say `not modelled` of what compiles as BPF (which comes first) and not here."""
    missing: dict[str, None] = {}
    told: list[Diagnostic] = []
    for each in said:
        found = _UNDECLARED.match(each.message)
        if found and found[1].startswith("bpf_"):
            missing[found[1]] = None
            each = replace(
                each,
                message=f"not modelled: {found[1]}()",
                hint="do without, or try it in the lab",
            )
        told.append(each)
    return tuple(told), tuple(missing)


def _compile(engine: Engine, name: str, files: dict[str, bytes]) -> tuple[bytes | None, str]:
    """Run clang in the sandbox. Returns the library and what clang said."""
    kit = engine.kit
    with tempfile.TemporaryDirectory(prefix="schedpilot-native-") as place:
        work = Path(place)
        out = work / "out.so"
        for path, data in {work / each: data for each, data in files.items()}.items():
            path.write_bytes(data)
            path.chmod(0o644)
        out.write_bytes(b"")
        out.chmod(0o666)
        hand_out(work)
        flags = [each for each in kit.flags if each.startswith("-D__TARGET_ARCH_")]
        includes = [f"-I{engine.shim}", f"-I{kit.folder}/include", f"-I{kit.folder}", "-I."]
        words = [find_clang().path, *_CANDIDATE_FLAGS, *flags, *includes, name, "-o", out.name]
        box = Sandbox(read=(kit.folder, engine.shim), write=(work,), cwd=work, limits=_LIMITS)
        done = sandboxed(words, box, timeout=COMPILE_LIMIT_S)
        said = done.error_text
        for folder in (f"{kit.folder}/include/", f"{kit.folder}/", f"{engine.shim}/"):
            said = said.replace(folder, "")
        if done.status == 0 and out.is_file() and not out.is_symlink():
            return out.read_bytes(), said
        if re.match(r"(bwrap|setpriv|prlimit): ", said) or not said.strip():
            raise Fault(
                FaultType.CHILD_FAILED,
                "clang could not be run in its sandbox",
                why=said.strip().splitlines()[0] if said.strip() else f"status {done.status}",
                hint="run `schedpilot doctor`: bubblewrap needs user namespaces",
                details=tail(done.stderr),
            )
        return None, said
