# SPDX-License-Identifier: GPL-2.0-or-later
"""The address and undefined-behaviour sanitizers."""

from pathlib import Path

import pytest

from simulator.build import Variant, build_native
from simulator.run import Ended, NativeScheduler, SimulationFigures, simulate
from simulator.scenario import SimulatedMachine, hogs, pinned

from .conftest import BAD, ROOT, Workbench


def sanitized(bench: Workbench, source: Path) -> SimulationFigures:
    name = f"sane_{source.name}"
    native = build_native(
        source,
        bench.folder,
        name=name,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        variant=Variant.SANITIZED,
    )
    built = bench.target.build(source, bench.folder, name=name)
    return simulate(
        NativeScheduler(native.require(), built.require()),
        pinned(SimulatedMachine(4)),
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        variant=Variant.SANITIZED,
    )


@pytest.mark.parametrize("name", ["fair", "latency"])
def test_good_schedulers_have_nothing_found(bench: Workbench, name: str) -> None:
    """Our own schedulers run to the end under both sanitizers."""
    figures = sanitized(bench, ROOT / f"scheduler_library/schedulers/{name}/{name}.bpf.c")
    assert figures.ejection is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("past_the_end", "heap-buffer-overflow in ops.enqueue() at sane_past_the_end.bpf.c:30"),
        ("past_an_array", "global-buffer-overflow in ops.enqueue() at sane_past_an_array.bpf.c:"),
        ("shifts", "Shift exponent 64 is too large for 64-bit type"),
        ("wild", "Member access within null pointer of type"),
        ("divides", "division by zero in ops.enqueue() at sane_divides.bpf.c:12"),
    ],
)
def test_a_bad_access_ends_the_run_at_its_line(bench: Workbench, name: str, message: str) -> None:
    """The first finding is an ejection that names the callback, the file and the line."""
    ejection = sanitized(bench, BAD / f"{name}.bpf.c").ejection
    assert ejection is not None
    assert ejection.kind is Ended.CRASHED
    assert message in ejection.message
    assert f" at sane_{name}.bpf.c:" in ejection.message


def test_a_crash_is_placed_without_sanitizers_too(bench: Workbench) -> None:
    """If the processor itself reports it, the line is known in any run."""
    ejection = bench.run(bench.beside("divides"), hogs(SimulatedMachine(2))).ejection
    assert ejection is not None
    assert ejection.message == "division by zero in ops.enqueue() at divides.bpf.c:12"
