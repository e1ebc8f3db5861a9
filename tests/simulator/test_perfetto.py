# SPDX-License-Identifier: GPL-2.0-or-later
"""The trace that ui.perfetto.dev opens."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from simulator.run import SimulationFigures, simulate
from simulator.scenario import MS, Scenario, SimulatedMachine, fork_storm, hogs, overload, service

from .conftest import Workbench

MACHINE = SimulatedMachine(3)
CPUS = 1


def traced(
    bench: Workbench, name: str, scenario: Scenario, folder: Path
) -> tuple[SimulationFigures, list[dict[str, Any]]]:
    out = folder / "trace.json"
    figures = simulate(
        bench.library(name) if name else None,
        scenario,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        perfetto=out,
    )
    return figures, json.loads(out.read_bytes())["traceEvents"]


@pytest.mark.parametrize("name", ["fair", ""])
@pytest.mark.parametrize("workload", [hogs, service, fork_storm])
def test_the_trace_adds_up(bench: Workbench, tmp_path: Path, name: str, workload: Any) -> None:
    """CPUs and tasks ran for the same time in all, as in the figures; slices do not overlap."""
    scenario = replace(workload(MACHINE), duration_ns=500 * MS)
    figures, events = traced(bench, name, scenario, tmp_path)
    assert figures.trace_cut_ns is None
    slices = [each for each in events if each["ph"] == "X"]
    on_cpus = [each for each in slices if each["pid"] == CPUS]
    running = [each for each in slices if each["name"] == "running"]
    assert sum(each["dur"] for each in on_cpus) == pytest.approx(figures.run_ns / 1000)
    assert sum(each["dur"] for each in running) == pytest.approx(figures.run_ns / 1000)
    rows = defaultdict(list)
    for each in slices:
        rows[each["pid"], each["tid"]].append((each["ts"], each["dur"]))
    for turns in rows.values():
        turns.sort()
        for (start, length), (after, _) in pairwise(turns):
            assert start + length <= after + 0.001
    wakeups = sum(each["ph"] == "i" for each in events)
    assert wakeups >= sum(group.wakeups for group in figures.groups)
    named = {(each["pid"], each["tid"]) for each in events if each["ph"] == "M"}
    assert set(rows) <= named


def test_tracing_changes_no_figure(bench: Workbench, tmp_path: Path) -> None:
    """The run is the same with and without a trace."""
    scenario = replace(service(MACHINE), duration_ns=500 * MS)
    figures, _ = traced(bench, "fair", scenario, tmp_path)
    assert figures == bench.run(bench.library("fair"), scenario)


def test_a_trace_that_is_too_large_says_where_it_ends(bench: Workbench, tmp_path: Path) -> None:
    """It stays valid JSON of bounded size, with a note at its end and the time in the figures."""
    scenario = replace(overload(SimulatedMachine(8)), duration_ns=60_000 * MS)
    figures, events = traced(bench, "fifo", scenario, tmp_path)
    assert figures.ejection is None
    assert figures.trace_cut_ns is not None
    assert (tmp_path / "trace.json").stat().st_size < 60 << 20
    last = [each for each in events if each["ph"] == "I"]
    assert [each["name"] for each in last] == ["cut here: the trace is too large"]
    assert last[0]["ts"] == pytest.approx(figures.trace_cut_ns / 1000)
