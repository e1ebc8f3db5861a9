# SPDX-License-Identifier: GPL-2.0-or-later
"""The same runs in the simulator."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.agreement.prepare import CPUS, Bench
from benchmarks.agreement.workloads import WORKLOADS
from simulator.calibration import Costs
from simulator.run import SimulationFigures, simulate

Predictions = dict[tuple[str, str, int], SimulationFigures]


def predict(
    bench: Bench,
    costs: Costs,
    ext_costs: Costs,
    wanted: Collection[tuple[str, str, int]],
    btf: Path,
    cache_folder: Path | None,
) -> Predictions:
    """The wanted predictions, by scheduler, workload and repetition; `ext_costs` are those of a
    machine under sched_ext."""
    usual, ext = costs.machine(CPUS), ext_costs.machine(CPUS)
    keys = list(wanted)

    def one(key: tuple[str, str, int]) -> SimulationFigures:
        scheduler, workload, turn = key
        candidate = bench.candidates.get(scheduler)
        scenario = WORKLOADS[workload](ext if candidate else usual).seeded(1 + turn)
        return simulate(candidate, scenario, btf=btf, cache_folder=cache_folder)

    with ThreadPoolExecutor(max_workers=2) as pool:
        return dict(zip(keys, pool.map(one, keys), strict=True))
