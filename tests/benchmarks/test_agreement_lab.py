# SPDX-License-Identifier: GPL-2.0-or-later
"""The real kernel performs a scenario as the simulator does."""

import tempfile
from pathlib import Path

import pytest

from benchmarks.agreement.plan import DEFAULT
from benchmarks.agreement.prepare import CPUS, prepare
from benchmarks.agreement.run import measure_in_lab
from benchmarks.agreement.schedulers import schedulers
from benchmarks.agreement.workloads import WORKLOADS
from simulator.run import simulate
from simulator.scenario import SimulatedMachine
from tests.target import Target

# Short, and between them of every kind of step but a change of affinity.
WORKLOAD = ("ping_pong", "fork_storm")


@pytest.mark.vm
def test_both_sides_do_the_same_work(target: Target) -> None:
    """On both sides the same number of tasks start, go through their cycles and end, and use the
    CPU time."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-agreement-") as place:
        work = Path(place)
        work.chmod(0o755)
        (fifo,) = [each for each in schedulers(CPUS) if each.name == "fifo"]
        bench = prepare(work / "bench", [fifo], 1, target.btf, target.cache)
        measured = measure_in_lab(bench, work / "tree", ["1", *WORKLOAD], lambda _: None)
        assert measured.costs is not None
        assert measured.costs.tick_ns == 4_000_000
        assert measured.ext_costs is not None
        assert {(run.scheduler, run.workload) for run in measured.runs} == {
            (scheduler, workload) for scheduler in (DEFAULT, "fifo") for workload in WORKLOAD
        }
        for run in measured.runs:
            scenario = WORKLOADS[run.workload](SimulatedMachine(2))
            predicted = simulate(
                bench.candidates.get(run.scheduler),
                scenario,
                btf=target.btf,
                cache_folder=target.cache,
            ).group("front")
            real = run.group("front")
            assert real["tasks"] == real["finished"] == predicted.tasks
            assert real["cycles"] == predicted.cycles
            # Emulated, a lock that the other CPU holds costs its whole turn.
            assert predicted.run_ns * 0.8 < real["run_ns"] < predicted.run_ns * 2.5
