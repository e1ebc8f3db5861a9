# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel functions that a compiled scheduler cannot do without and that a kernel lacks.

The loader would refuse the scheduler for them, with a message that few can read. A weak function is
different: the scheduler asks whether it is there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bpf.build import cache
from bpf.build.diagnostics import Diagnostic
from bpf.build.vmlinux import BTF, btf_digest
from bpf.common.elf_sections import SYMBOLS, ElfError, linked, symbols, text_at
from bpf.kernel.callbacks import object_sections
from bpf.kernel.features import Features, read_features
from process import Fault

_FAMILY = ("scx_bpf_", "__scx_bpf_")


def features_of(btf: Path = BTF, *, cache_folder: Path | None = None) -> Features:
    """`read_features`, kept in the cache: 5 s of work under emulation. Empty if the types cannot be
    understood.

    Raises:
        Fault: UNSUPPORTED if there are none, STATE.
    """
    kept = cache.folder(cache_folder) / "btf" / btf_digest(btf) / "features.json"
    try:
        content = json.loads(kept.read_bytes())
        return Features(tuple(content["kfuncs"]), tuple(content["malformed"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    try:
        found = read_features(btf)
    except Fault:
        return Features((), ())
    cache.write(kept, json.dumps(asdict(found)).encode())
    return found


def essential(name: str) -> str:
    """The name by which libbpf looks a function up: without the ___suffix of its declaration."""
    return name.rpartition("___")[0] or name


def unmet(
    data: bytes, kernel: Features, files: Mapping[str, bytes], name: str
) -> tuple[Diagnostic, ...]:
    """What the object needs and the kernel does not offer: at most two messages.

    Args:
        data: the compiled scheduler.
        kernel: what the kernel offers; without any kfunc nothing is known of it.
        files: the sources by name, in which the calls are looked for.
        name: the file of the scheduler itself.
    """
    try:
        needed = sorted({essential(each) for each in _needed(data)})
    except (ElfError, StopIteration):
        return ()
    if not kernel.kfuncs:
        return ()
    family = [each for each in needed if each.startswith(_FAMILY)]
    malformed = [each for each in family if each in kernel.malformed]
    missing = [each for each in family if each not in kernel.kfuncs]
    found = []
    if malformed:
        found.append(
            Diagnostic(
                name,
                _line_of(malformed, files[name]),
                0,
                "error",
                f"{_calls(malformed)} cannot be called on this kernel, whose types describe "
                f"{'it' if len(malformed) == 1 else 'them'} wrongly",
                "boot another kernel: `schedpilot doctor` says which",
            )
        )
    if missing:
        found.append(
            Diagnostic(
                name,
                _line_of(missing, files[name]),
                0,
                "error",
                f"this kernel has no {_calls(missing)}",
                "declare it __weak, and ask with bpf_ksym_exists() before it is called",
            )
        )
    return tuple(found)


def _needed(data: bytes) -> list[str]:
    """The symbols without which it cannot be loaded: undefined ones that are not weak."""
    sections = object_sections(data)
    table = next(each for each in sections if each.type == SYMBOLS)
    strings = linked(data, sections, table)
    return [
        text_at(strings, each.name_at).decode("ascii", "replace")
        for each in symbols(data, table)
        if each.name_at and not each.section and not each.weak
    ]


def _calls(names: Sequence[str]) -> str:
    *most, last = (f"{each}()" for each in names)
    return f"{', '.join(most)} and {last}" if most else last


def _line_of(functions: Sequence[str], source: bytes) -> int:
    """The first line that names one of them; 0 if only our headers do."""
    for number, line in enumerate(source.splitlines(), start=1):
        if any(each.encode() in line for each in functions):
            return number
    return 0
