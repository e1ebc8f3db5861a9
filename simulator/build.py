# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles the candidate's source to native code, and the engine that runs it.

The same source that becomes a BPF object is compiled for this machine's CPU, with our own headers
in place of libbpf's. The source is as hostile as ever: clang runs confined, and so does the result.
"""

import fcntl
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from bpf.build import cache
from bpf.build.clang import find_clang
from bpf.build.diagnostics import Diagnostic, parse
from bpf.build.kit import Kit, digest, kit_for, known_names
from bpf.build.objects import starts_with_common
from bpf.build.sources import (
    COMPILE_LIMIT_S,
    ClangResult,
    build_failed,
    compile_confined,
    files_of,
    name_of,
)
from bpf.build.vmlinux import BTF
from bpf.kernel.features import Features
from bpf.kernel.unmet import essential, features_of
from process import Fault, FaultType, run
from process.run import tail

_PACKAGE = Path(__file__).resolve().parent
_KEPT_ENGINES = 6
# The engine's list of symbols that a candidate may use, and the line for the kfuncs in it.
_EXPORTS = "engine/exports"
_KFUNCS_HERE = b"\t/* the kfuncs of the kernel */\n"

# The kernel's types need these, native or not.
_KERNEL_FLAGS = (
    "-std=gnu11",
    "-fms-extensions",
    "-DBPF_NO_PRESERVE_ACCESS_INDEX",
    "-Wno-microsoft-anon-tag",
    "-Wno-missing-declarations",
    "-O2",
)
_LINK_FLAGS = (
    "-shared",
    "-nostdlib",
    # The candidate's own symbols take precedence over the engine's.
    "-Wl,-Bsymbolic",
    "-Wl,-z,noexecstack",
)
_CANDIDATE_FLAGS = (
    *_KERNEL_FLAGS,
    "-g1",
    "-fPIC",
    # libc's names have no special meaning.
    "-ffreestanding",
    # BPF wraps on overflow, which C leaves undefined; division by zero is caught.
    "-fwrapv",
    "-fno-strict-aliasing",
    "-fno-delete-null-pointer-checks",
    # The preprocessor's answers are the same as in the build for BPF, so that the code is the same.
    "-D__bpf__=1",
    "-D__BPF__=1",
    "-D__BPF_CPU_VERSION__=3",
    "-D__BPF_FEATURE_ADDR_SPACE_CAST=1",
    "-D__BPF_FEATURE_MAY_GOTO=1",
    *(f"-U{name}" for name in ("__x86_64__", "__x86_64", "__amd64__", "__amd64", "__aarch64__")),
    *(f"-U{name}" for name in ("__linux__", "__linux", "linux", "__gnu_linux__", "__unix__")),
    "-w",
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-ferror-limit=20",
)


class Variant(StrEnum):
    """What else is built in: nothing, the sanitizers, or the count of shared cache lines."""

    PLAIN = "plain"
    SANITIZED = "sanitized"
    LINES = "lines"


_ENGINE_VARIANTS = {
    Variant.PLAIN: (),
    # Address checks in both, since they share memory; checks of undefined behaviour only in the
    # candidate. The engine calls callbacks through one type for all; division by zero is caught
    # either way.
    Variant.SANITIZED: ("-fsanitize=address", "-fno-omit-frame-pointer"),
    Variant.LINES: ("-DCOUNTS_LINES",),
}
_CANDIDATE_VARIANTS = {
    Variant.PLAIN: (),
    Variant.SANITIZED: (
        "-fsanitize=address,undefined",
        "-fno-sanitize=function,integer-divide-by-zero,alignment,vptr",
        "-fno-omit-frame-pointer",
        # The engine provides these.
        "-fno-sanitize-link-runtime",
    ),
    # Only its calls for each load and store, which the engine provides (engine/lines.c).
    Variant.LINES: (
        "-fsanitize=thread",
        "-mllvm",
        "-tsan-instrument-func-entry-exit=0",
        "-fno-sanitize-link-runtime",
    ),
}
# What the engine has of sched_ext and some kernels from 6.13 on lack: the preprocessor's word, and
# what it looks like in vmlinux.h. More are in `bpf.build.vmlinux`, for schedulers as well.
_LATER_TYPES = {
    "HAS_TASK_GROUP_SCX": rb"struct scx_task_group \{[^}]*\bbw_quota_us;",  # 6.17
    "HAS_TASK_GROUP_SCX_IDLE": rb"struct scx_task_group \{[^}]*\bidle;",  # 6.19
    "HAS_EXIT_FLAGS": rb"struct scx_exit_info \{[^}]*\bflags;",
    "HAS_SUB_SCHEDULERS": rb"\(\*sub_attach\)\(",  # 7.1
    "HAS_REENQUEUE_FLAGS": rb"\b__SCX_REENQ_USER_MASK\b",  # 7.1
    "HAS_EXIT_CPU": rb"struct scx_exit_info \{[^}]*\bexit_cpu;",
    "HAS_CID_TOPO": rb"struct scx_cid_topo \{[^}]*\bcore_idx;",  # 7.2
    "HAS_CMASK": rb"struct scx_cmask \{",  # 7.2
    "HAS_TID": rb"\bSCX_OPS_TID_TO_TASK\b",  # 7.2
    "HAS_CID_SHARDS": rb"struct scx_cid_topo \{[^}]*\bshard_idx;",  # 7.3
    "HAS_INIT_CIDS": rb"\(\*init_cids\)\(",  # 7.3
    "HAS_ENABLE_ARGS": rb"struct scx_enable_args \{",  # 7.3
}
# Without it there is no sched_ext, or that of 6.12, whose kfuncs have other names.
_OLDEST_KFUNC = "scx_bpf_dsq_insert"
# A kfunc of sched_ext that the engine defines.
_KFUNC = re.compile(rb"^\w[\w \*]*?\b(_*scx_bpf_\w+)\(", re.MULTILINE)
_UNDECLARED = re.compile(r"call to undeclared (?:library )?function '(\w+)'")


@dataclass(frozen=True)
class Engine:
    """The engine for one kernel's types, and the headers for compiling candidates.

    `types` are the kernel's, precompiled; they take nine tenths of a candidate's compilation.
    """

    program: Path
    shim: Path
    kit: Kit
    types: Path
    variant: Variant


@dataclass(frozen=True)
class NativeBuild:
    """The result for one source: `library` is None if it does not compile natively.

    `not_modelled` names the helpers and kfuncs that it calls and the simulator lacks.
    """

    library: Path | None
    diagnostics: tuple[Diagnostic, ...]
    not_modelled: tuple[str, ...]
    seconds: float

    def require(self) -> Path:
        """The library.

        Raises:
            Fault: UNSUPPORTED if something is not modelled, else BUILD_FAILED.
        """
        if self.library is not None:
            return self.library
        if self.not_modelled:
            raise Fault(
                FaultType.UNSUPPORTED,
                "the simulator cannot run this scheduler",
                why=f"not modelled: {', '.join(f'{name}()' for name in self.not_modelled)}",
                hint="do without it, or try it in the lab",
            )
        raise build_failed("the scheduler does not compile natively", self.diagnostics)


def _sources() -> list[tuple[str, bytes]]:
    files = [*sorted(_PACKAGE.glob("engine/*")), *sorted(_PACKAGE.glob("shim/bpf/*.h"))]
    return [(str(path.relative_to(_PACKAGE)), path.read_bytes()) for path in files]


def later_types(header: bytes) -> list[str]:
    """The words for what this kernel's types have."""
    return [f"-D{word}" for word, shape in _LATER_TYPES.items() if re.search(shape, header)]


def _exports(sources: list[tuple[str, bytes]], kernel: Features) -> bytes:
    """The engine's list of symbols for the candidate, without the kfuncs that the kernel lacks.

    libbpf looks a kfunc up without the ___suffix of its name, and takes one with another prototype
    for absent.
    """
    sound = {*kernel.kfuncs} - {*kernel.malformed}
    defined = {name.decode() for _, data in sources for name in _KFUNC.findall(data)}
    kept = sorted(each for each in defined if essential(each) in sound)
    return b"".join(
        data.replace(_KFUNCS_HERE, "".join(f"\t{each};\n" for each in kept).encode())
        for name, data in sources
        if name == _EXPORTS
    )


def engine_for(
    btf: Path = BTF, *, cache_folder: Path | None = None, variant: Variant = Variant.PLAIN
) -> Engine:
    """The engine, compiled unless it is in the cache.

    It reads and writes the kernel's own struct task_struct, so there is one for each kernel. It
    runs candidates of the same variant.

    Raises:
        Fault: MISSING_TOOL, UNSUPPORTED without BTF or with that of a kernel before 6.13, STATE,
            CHILD_FAILED.
    """
    clang = find_clang()
    kit = kit_for(clang, btf, cache_folder)
    sources = _sources()
    flags = (*_KERNEL_FLAGS, *_ENGINE_VARIANTS[variant])
    parts = (part for pair in sources for part in pair)
    key = digest(kit.key, *flags, repr(_LATER_TYPES), *parts)
    folder = cache.folder(cache_folder) / "simulators" / key
    made = Engine(folder / "simulate", folder / "shim", kit, folder / "types.pch", variant)
    if not (folder / "done").is_file():
        cache.make(folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "done").is_file():
                features = features_of(btf, cache_folder=cache_folder)
                _make_engine([clang.path, *flags], made, folder, sources, features)
        cache.prune(folder.parent, keep=_KEPT_ENGINES)
    return made


def _make_engine(
    compiler: list[str],
    engine: Engine,
    folder: Path,
    sources: list[tuple[str, bytes]],
    kernel: Features,
) -> None:
    if _OLDEST_KFUNC not in kernel.kfuncs:
        raise Fault(
            FaultType.UNSUPPORTED,
            "the simulator cannot be built for this kernel",
            why="its types lack sched_ext, or have that of 6.12; those from 6.13 on are understood",
            hint="the other gates work without it; or name another kernel's types (--btf)",
        )
    for name, data in sources:
        cache.write(folder / name, data)
    cache.write(folder / _EXPORTS, _exports(sources, kernel))
    units = sorted(name for name, _ in sources if name.endswith(".c"))
    new = folder / "simulate.new"
    done = run(
        [
            *compiler,
            *later_types((engine.kit.folder / "vmlinux.h").read_bytes()),
            "-g1",
            f"-I{engine.kit.folder}",
            *units,
            "-o",
            new,
            f"-Wl,--dynamic-list={_EXPORTS}",
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
            hint="apt install libbpf-dev, and libclang-rt-dev for sanitizers",
            details=tail(done.stderr),
        )
    new.chmod(0o755)
    new.replace(folder / "simulate")
    # Without it builds are slower, but still right.
    header: list[str | Path] = [
        "-x",
        "c-header",
        engine.kit.folder / "all.h",
        "-o",
        folder / "types.new",
    ]
    made = run([*_words(engine), *header], timeout=COMPILE_LIMIT_S, check=False)
    if made.status == 0:
        (folder / "types.new").chmod(0o644)
        (folder / "types.new").replace(engine.types)
    cache.write(folder / "done", done.stderr)


def build_native(
    source: Path | str,
    out_dir: Path,
    *,
    name: str = "",
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    cache_folder: Path | None = None,
    variant: Variant = Variant.PLAIN,
) -> NativeBuild:
    """Compile one scheduler for the simulator.

    Args:
        source: a file, or the text itself; the same that `bpf.build.objects.build_object` gets.
        out_dir: gets `NAME.so`; made if it does not exist.
        name: file name for messages and the library; default: the source's.
        headers: files that the source includes by name from its own folder.
        variant: for `simulate` with the same one.

    Raises:
        Fault: TOO_LARGE, BAD_NAME, NOT_FOUND, MISSING_TOOL, UNSUPPORTED without BTF, STATE,
            TIMEOUT, CHILD_FAILED. A source that does not compile is a result, not a fault.
    """
    start = time.monotonic()
    name = name_of(source, name)
    files = files_of(source, name, headers)
    engine = engine_for(btf, cache_folder=cache_folder, variant=variant)
    done = _compile(engine, name, files)
    diagnostics, missing = _explain(parse(done.said, known=known_names()))
    library = None
    if done.data is not None:
        out_dir.mkdir(parents=True, exist_ok=True)
        library = out_dir / f"{name.removesuffix('.c').removesuffix('.bpf')}.so"
        library.write_bytes(done.data)
    return NativeBuild(library, diagnostics, missing, time.monotonic() - start)


def _explain(
    said: tuple[Diagnostic, ...],
) -> tuple[tuple[Diagnostic, ...], tuple[str, ...]]:
    """Report as `not modelled` what compiles as BPF (which is checked first) but not here."""
    missing: dict[str, None] = {}
    told: list[Diagnostic] = []
    for each in said:
        found = _UNDECLARED.match(each.message)
        if found and found[1].startswith("bpf_"):
            missing[found[1]] = None
            each = replace(
                each,
                message=f"not modelled: {found[1]}()",
                hint="do without it, or try it in the lab",
            )
        told.append(each)
    return tuple(told), tuple(missing)


def _words(engine: Engine) -> list[str | Path]:
    """The compiler and everything that decides what code a source becomes."""
    kit = engine.kit
    return [
        find_clang().path,
        *_CANDIDATE_FLAGS,
        *_CANDIDATE_VARIANTS[engine.variant],
        *(each for each in kit.flags if each.startswith("-D__TARGET_ARCH_")),
        f"-I{engine.shim}",
        f"-I{kit.folder}/include",
        f"-I{kit.folder}",
    ]


def _compile(engine: Engine, name: str, files: dict[str, bytes]) -> ClangResult:
    words = [*_words(engine), *_LINK_FLAGS, "-I.", name]
    read = (engine.kit.folder, engine.shim, engine.types)
    if engine.types.is_file() and starts_with_common(files[name]):
        done = compile_confined([*words, "-include-pch", engine.types], files, read)
        # A compiler or library was replaced since the cache was filled: do without the cache.
        if done.data is not None or not re.search(r"precompiled|PCH|AST file", done.said):
            return done
    return compile_confined(words, files, read[:2])
