# SPDX-License-Identifier: GPL-2.0-or-later
"""The shared parts of all builds against one kernel: its types, our headers, and both precompiled.

Made once for each kernel, compiler and version of the headers; nine tenths of a build's work.
"""

import fcntl
import hashlib
import platform
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bpf.build import cache
from bpf.build.clang import Clang, find_clang
from bpf.build.vmlinux import ADDED, BTF, btf_digest, vmlinux_header
from bpf.paths import INCLUDE
from process import Fault, FaultType, run

# clang under emulation takes 8 s for all the types.
_PRECOMPILE_LIMIT_S = 120.0
_KEPT_KITS = 4
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
    # A policy's comparison may well have only one possible result.
    "-Wno-tautological-compare",
    # The compiler may optimise such code freely, for BPF or not; the verifier sees the result.
    "-Werror=uninitialized",
    "-Werror=sometimes-uninitialized",
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-fdiagnostics-show-option",
    "-ferror-limit=20",
)


@dataclass(frozen=True)
class Kit:
    """The shared parts of every build against one kernel; all in one folder of the cache."""

    folder: Path
    key: str
    flags: tuple[str, ...]
    precompiled: Path | None


def language_flags() -> tuple[str, ...]:
    """Target, standard and warnings of a build, without our headers and the kernel's types."""
    machine = platform.machine()
    return (
        *_FLAGS,
        f"-D__TARGET_ARCH_{_ARCHITECTURES.get(machine, machine)}",
        # <linux/types.h> and others need asm/, which Debian keeps in a folder per machine.
        "-idirafter",
        f"/usr/include/{machine}-linux-gnu",
    )


def _flags(folder: Path) -> tuple[str, ...]:
    return (*language_flags(), f"-I{folder / 'include'}", f"-I{folder}")


@lru_cache(maxsize=4)
def _own_headers() -> tuple[tuple[str, bytes], ...]:
    files = sorted(INCLUDE.rglob("*.h"))
    return tuple((str(path.relative_to(INCLUDE)), path.read_bytes()) for path in files)


def digest(*parts: bytes | str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def _system_headers() -> str:
    """Distinguishes versions of libbpf's headers."""
    stats = [(path.name, path.stat()) for path in sorted(Path("/usr/include/bpf").glob("*.h"))]
    if not stats:
        raise Fault(
            FaultType.MISSING_TOOL,
            "libbpf's headers are not installed",
            where="/usr/include/bpf",
            hint="apt install libbpf-dev",
        )
    return repr([(name, s.st_size, s.st_mtime_ns) for name, s in stats])


def key_for(clang: Clang, btf: Path) -> str:
    """Changes with everything that a kit is made of.

    Raises:
        Fault: MISSING_TOOL without libbpf's headers, UNSUPPORTED without BTF.
    """
    return digest(
        btf_digest(btf),
        ADDED,
        clang.path,
        clang.version,
        _system_headers(),
        repr(_flags(Path())),
        *(part for pair in _own_headers() for part in pair),
    )


def kit_for(clang: Clang, btf: Path, cache_folder: Path | None) -> Kit:
    """The shared parts, made if they do not exist yet."""
    key = key_for(clang, btf)
    folder = cache.folder(cache_folder) / "kits" / key
    flags = _flags(folder)
    precompiled = folder / "common.pch"
    if not (folder / "done").is_file():
        cache.make(folder)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "done").is_file():
                header = vmlinux_header(btf, cache_folder=cache_folder)
                _furnish(clang, folder, header, precompiled)
        cache.prune(folder.parent, keep=_KEPT_KITS)
    return Kit(folder, key, flags, precompiled if precompiled.is_file() else None)


def _furnish(clang: Clang, folder: Path, header: Path, precompiled: Path) -> None:
    """Fill a kit's folder. Without a precompiled header builds are slower, but still right."""
    for name, data in _own_headers():
        cache.write(folder / "include" / name, data)
    cache.write(folder / "vmlinux.h", header.read_bytes())
    # Only the types. If a precompiled header declares kernel functions that are used only in a
    # cleanup attribute, clang 19 loses their BTF, and libbpf cannot link them.
    cache.write(folder / "all.h", b'#define BPF_NO_KFUNC_PROTOTYPES\n#include "vmlinux.h"\n')
    new = folder / "common.pch.new"
    words: list[str | Path] = [clang.path, *_flags(folder), "-x", "c-header", folder / "all.h"]
    made = run([*words, "-o", new], timeout=_PRECOMPILE_LIMIT_S, name="clang", check=False)
    if made.status == 0:
        new.chmod(0o644)
        new.replace(precompiled)
    cache.write(folder / "done", made.stderr)


def prepare(btf: Path = BTF, *, cache_folder: Path | None = None) -> None:
    """Make the shared parts of all builds ahead of the first one.

    Raises:
        Fault: MISSING_TOOL, UNSUPPORTED without BTF, STATE.
    """
    kit_for(find_clang(), btf, cache_folder)


@lru_cache(maxsize=1)
def known_names() -> tuple[str, ...]:
    """Names that our headers and libbpf's declare or define, for suggestions."""
    text = b"\n".join(data for _, data in _own_headers()).decode()
    helpers = Path("/usr/include/bpf/bpf_helper_defs.h")
    text += helpers.read_text("utf-8") if helpers.is_file() else ""
    return tuple(sorted(set(re.findall(r"\b(?:scx_|bpf_|SCX_|UEI_|BPF_|time_|cmask_)\w+", text))))
