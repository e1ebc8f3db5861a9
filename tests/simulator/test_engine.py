# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's own C."""

from pathlib import Path

import pytest

from bpf.build import cache
from bpf.build.clang import find_clang
from bpf.build.vmlinux import header_path
from process import Fault, FaultType, run
from simulator.build import engine_for, later_types
from tests.target import Target

ENGINE = Path(__file__).parents[2] / "simulator" / "engine"
UNITS = sorted(path.name for path in ENGINE.glob("*.c"))


@pytest.mark.parametrize("unit", UNITS)
def test_the_engine_compiles_without_a_warning(target: Target, unit: str) -> None:
    """Each file compiles without a message with the warnings of docs/style.md."""
    kit = engine_for(target.btf, cache_folder=target.cache).kit
    flags = ["-std=gnu11", "-fms-extensions", "-DBPF_NO_PRESERVE_ACCESS_INDEX", "-O2"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-microsoft-anon-tag"]
    later = later_types((kit.folder / "vmlinux.h").read_bytes())
    words = [
        find_clang().path,
        *flags,
        *later,
        *warnings,
        f"-I{kit.folder}",
        "-c",
        str(ENGINE / unit),
    ]
    done = run([*words, "-o", "/dev/null"], timeout=60, check=False)
    assert done.error_text == ""
    assert done.status == 0


def test_the_engine_is_made_once(target: Target) -> None:
    """The engine in the cache is used again, whoever asks."""
    first = engine_for(target.btf, cache_folder=target.cache)
    made = first.program.stat().st_mtime_ns
    assert engine_for(target.btf, cache_folder=target.cache) == first
    assert first.program.stat().st_mtime_ns == made


def older(target: Target, folder: Path, functions: dict[str, str], types: dict[str, str]) -> Path:
    """The kernel's types with other names for these functions and types, in a cache of their own.

    A function's new name has the old one's length.
    """
    data = target.btf.read_bytes()
    for old, new in functions.items():
        assert len(old) == len(new)
        data = data.replace(f"\0{old}\0".encode(), f"\0{new}\0".encode())
    btf = folder / "btf"
    btf.write_bytes(data)
    header = header_path(target.cache, target.btf).read_text()
    for old, new in types.items():
        assert old in header
        header = header.replace(old, new)
    cache.write(header_path(folder / "cache", btf), header.encode())
    return btf


def test_an_older_kernel_has_fewer_functions_and_types(target: Target, tmp_path: Path) -> None:
    """The engine compiles without what came later, and offers only functions of this kernel."""
    btf = older(
        target,
        tmp_path,
        {
            "scx_bpf_dsq_insert___v2": "scx_bpf_dsq_insert____2",
            "scx_bpf_dsq_peek": "scx_bpf_dsq_look",
        },
        {
            "struct scx_enable_args {": "struct scx_other_args {",
            "(*init_cids)(": "(*begin_cids)(",
            "(*sub_attach)(": "(*sub_begin)(",
            "__SCX_REENQ_USER_MASK": "__SCX_REENQ_THEIR_MASK",
            "SCX_OPS_TID_TO_TASK": "SCX_OPS_TID_TO_NOBODY",
        },
    )
    made = engine_for(btf, cache_folder=tmp_path / "cache")
    offered = run(["nm", "--dynamic", "--defined-only", made.program], timeout=60).text.split()
    assert "scx_bpf_dsq_insert___v1" in offered
    assert "scx_bpf_dsq_move_to_local___v2___compat" in offered
    assert "scx_bpf_dsq_insert___v2___compat" not in offered
    assert "scx_bpf_dsq_peek" not in offered


def test_types_of_a_kernel_that_is_too_old_are_refused_with_the_reason(
    target: Target, tmp_path: Path
) -> None:
    """Before 6.13 the kernel's functions had other names; the message says so."""
    btf = older(target, tmp_path, {"scx_bpf_dsq_insert": "scx_bpf_dispatch__"}, {})
    with pytest.raises(Fault, match="cannot be built for this kernel") as fault:
        engine_for(btf, cache_folder=tmp_path / "cache")
    assert fault.value.type is FaultType.UNSUPPORTED
    assert "6.13" in fault.value.why
