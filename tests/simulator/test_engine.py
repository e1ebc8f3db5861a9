# SPDX-License-Identifier: GPL-2.0-or-later
"""The engine's own C."""

from pathlib import Path

import pytest

from bpf.build import cache
from bpf.build.clang import find_clang
from bpf.build.vmlinux import header_path
from process import Fault, FaultType, run
from simulator.build import engine_for
from tests.target import Target

ENGINE = Path(__file__).parents[2] / "simulator" / "engine"
UNITS = sorted(path.name for path in ENGINE.glob("*.c"))


@pytest.mark.parametrize("unit", UNITS)
def test_the_engine_compiles_without_a_warning(target: Target, unit: str) -> None:
    """Each file compiles without a message with the warnings of docs/style.md."""
    kit = engine_for(target.btf, cache_folder=target.cache).kit
    flags = ["-std=gnu11", "-fms-extensions", "-DBPF_NO_PRESERVE_ACCESS_INDEX", "-O2"]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-microsoft-anon-tag"]
    words = [find_clang().path, *flags, *warnings, f"-I{kit.folder}", "-c", str(ENGINE / unit)]
    done = run([*words, "-o", "/dev/null"], timeout=60, check=False)
    assert done.error_text == ""
    assert done.status == 0


def test_the_engine_is_made_once(target: Target) -> None:
    """The engine in the cache is used again, whoever asks."""
    first = engine_for(target.btf, cache_folder=target.cache)
    made = first.program.stat().st_mtime_ns
    assert engine_for(target.btf, cache_folder=target.cache) == first
    assert first.program.stat().st_mtime_ns == made


def test_types_of_an_older_kernel_are_refused_with_the_reason(
    target: Target, tmp_path: Path
) -> None:
    """If the kernel's types lack something that the engine reads, the message says so."""
    types = header_path(target.cache, target.btf).read_text()
    folder = tmp_path / "older"
    older = header_path(folder, target.btf)
    cache.write(older, types.replace("scx_enable_args", "scx_enable_arguments").encode())
    with pytest.raises(Fault, match="cannot be built for this kernel") as fault:
        engine_for(target.btf, cache_folder=folder)
    assert fault.value.type is FaultType.UNSUPPORTED
    assert "7.3" in fault.value.why
