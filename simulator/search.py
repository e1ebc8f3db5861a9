# SPDX-License-Identifier: GPL-2.0-or-later
"""Searches better values for a scheduler's parameters in the simulator.

    python -m simulator.search --source FILE.bpf.c --space FILE.json --scenario NAME …

It is a separate program, so that neither the command nor the daemon imports the optimiser. The
space is a JSON list of parameters as in manifests (name, type, default, min, max). Standard output
has one JSON document (`Searched`) on one line, the same bytes for the same input and seed; standard
error has a line for each trial.

optuna's tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011) proposes values one after
the other, beginning with the defaults. The cost is the mean logarithm of how much worse than under
the kernel's default it is, over the groups and two seeds: by an objective (`--objective`,
simulator/simulated_objective.py), by one figure (`--metric`), or by the kind of each group. Lost
throughput of a group adds to the cost, and a starved group counts as an ejection. The result is
then measured with seeds that the search did not use.
"""

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from bpf.build.objects import build_object
from bpf.build.vmlinux import BTF
from process import Fault, FaultType, fault_of, named_path, printable
from simulator.build import build_native
from simulator.compare import (
    METRICS,
    Group,
    ScenarioComparison,
    ToldEjection,
    compared,
    require_types,
    work_for,
)
from simulator.run import Ended, NativeScheduler, SimulationFigures, simulate
from simulator.scenario import S, Scenario
from simulator.simulated_objective import SimulatedObjective, parse_simulated_objective
from simulator.stress import wait_bounds_ns

TUNED_FOR = 2
HELD_BACK = 2
# A group may lose this fraction of its throughput without cost; beyond that, a loss costs this
# factor more than the same change of the tuned figure.
SPARED = 0.02
THROUGHPUT_COUNTS = 5.0
# The cost of an ejection, more than any figure could be.
EJECTED_COST = 50.0
# From this ratio of largest to smallest on, a parameter is searched on a logarithmic scale.
WIDE = 50.0
# The longest wait is a promise, not a parameter to tune.
PROMISE = "_wait_ns"


@dataclass(frozen=True)
class SearchDimension:
    """One dimension of the space."""

    name: str
    type: str
    default: float | bool
    min: float = 0.0
    max: float = 0.0

    def ask(self, trial: optuna.Trial) -> float | bool:
        if self.type == "bool":
            return bool(trial.suggest_categorical(self.name, [False, True]))
        wide = self.min > 0 and self.max / self.min >= WIDE
        if self.type == "int":
            return trial.suggest_int(self.name, int(self.min), int(self.max), log=wide)
        return trial.suggest_float(self.name, self.min, self.max, log=wide)


# Limit for a file with parameters; a scheduler has a dozen.
MOST_BYTES = 1 << 20

Values = Mapping[str, float | bool]


@dataclass(frozen=True)
class GroupResult:
    """One group's figure over the kernel default's: with the scheduler's defaults, and with the
    values found; measured with seeds that the search did not use.
    """

    scenario: str
    group: str
    by_default: float
    found: float


@dataclass(frozen=True)
class Searched:
    """`metric` is the objective or the figure, empty if each group has that of its kind.

    `gain` is the gain of the values found over the scheduler's own defaults, as a fraction of the
    figure (0.1: a tenth better), with the seeds that were held back.
    """

    scheduler: str
    metric: str
    seed: int
    trials: int
    workload: str
    default: dict[str, float | bool]
    values: dict[str, float | bool]
    tuned_gain: float
    gain: float
    groups: tuple[GroupResult, ...]
    notes: tuple[str, ...]


def read_space(path: Path) -> list[SearchDimension]:
    """The parameters that can be searched.

    Raises:
        Fault: BAD_PARAMETER: there is none, or the file is not understood.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES)
        found = [
            SearchDimension(
                str(each["name"]),
                str(each["type"]),
                each["default"],
                float(each.get("min") or 0),
                float(each.get("max") or 0),
            )
            for each in json.loads(text)
            if not str(each["name"]).endswith(PROMISE)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fault(
            FaultType.BAD_PARAMETER,
            "the parameters to search are not understood",
            where=str(path),
            why=str(error),
        ) from None
    if not found:
        raise Fault(
            FaultType.BAD_PARAMETER,
            "there is nothing to search",
            why="this scheduler has no parameters",
            hint="`schedpilot library show NAME` lists its parameters",
        )
    return found


def _word(value: float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.17g}"


@dataclass(frozen=True)
class SearchGoal:
    """How groups are judged: an objective, else one figure of METRICS, else each by its kind; only
    one `group` or workload, if it is named.
    """

    objective: SimulatedObjective | None = None
    metric: str = ""
    group: str = ""

    @property
    def title(self) -> str:
        return self.objective.title if self.objective else self.metric

    def times_worse(self, group: Group) -> float | None:
        """How many times worse it is than under the default; below 1 better."""
        if self.group and self.group not in (group.name, group.workload):
            return None
        if not self.metric:
            return 1 / group.times if group.times else None
        ratio = group.ratios.get(self.metric)
        if not ratio:
            return None
        return 1 / ratio if METRICS[self.metric] else ratio


class _SearchBench:
    """Simulates the scheduler with given values, and the default once for each scenario
    and seed.
    """

    def __init__(
        self, asked: argparse.Namespace, objective: SimulatedObjective | None, folder: Path
    ) -> None:
        require_types(asked.btf)
        self.asked = asked
        self.work = work_for(asked)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1)
        self._defaults: dict[tuple[str, int], SimulationFigures] = {}
        name = f"{asked.name}.bpf.c"
        kept = {"name": name, "btf": asked.btf, "cache_folder": asked.cache}
        built = build_object(asked.source, folder, **kept).require()
        native = build_native(asked.source, folder, **kept).require()
        self._candidate = NativeScheduler(native, built)
        self._objective = objective

    def _simulate(self, candidate: NativeScheduler | None, scenario: Scenario) -> SimulationFigures:
        return simulate(candidate, scenario, btf=self.asked.btf, cache_folder=self.asked.cache)

    def _default(self, scenario: Scenario) -> SimulationFigures:
        key = (scenario.name, scenario.seed)
        if key not in self._defaults:
            self._defaults[key] = self._simulate(None, scenario)
        return self._defaults[key]

    def compare(self, values: Values, seeds: Sequence[int]) -> list[ScenarioComparison]:
        """Each scenario with each seed, beside the kernel's default."""
        words = tuple(sorted((name, _word(value)) for name, value in values.items()))
        candidate = replace(self._candidate, parameters=words)

        def one(scenario: Scenario) -> ScenarioComparison:
            ours = self._simulate(candidate, scenario)
            found = compared(
                scenario, ours, self._default(scenario), self.work.workloads, self._objective
            )
            late = starved(scenario, ours)
            return replace(found, ejection=found.ejection or late)

        jobs = [scenario.seeded(seed) for scenario in self.work.scenarios for seed in seeds]
        return list(self._pool.map(one, jobs))

    def close(self) -> None:
        self._pool.shutdown()


def starved(scenario: Scenario, figures: SimulationFigures) -> ToldEjection | None:
    """A task that waits longer than the limit is as bad as an ejection, whatever others gain."""
    bounds = wait_bounds_ns(scenario)
    for group in figures.groups:
        if group.longest_wait_ns > bounds[group.name]:
            what = f"a task of {group.name!r} waited {group.longest_wait_ns / S:.3g} s"
            return ToldEjection(int(Ended.STALL), figures.time_ns, what, "it was starved", "")
    return None


def _ratios(
    found: Sequence[ScenarioComparison], judged: SearchGoal
) -> dict[tuple[str, str], float]:
    """How many times worse each group is than under the default; the geometric mean over the
    seeds."""
    logs: dict[tuple[str, str], list[float]] = {}
    for each in found:
        for one in each.groups:
            if worse := judged.times_worse(one):
                logs.setdefault((each.name, one.name), []).append(math.log(worse))
    return {key: math.exp(sum(values) / len(values)) for key, values in logs.items()}


def cost(found: Sequence[ScenarioComparison], judged: SearchGoal) -> float:
    """The cost; below zero is better than the kernel's default."""
    ejected = sum(each.ejection is not None for each in found)
    if ejected:
        return EJECTED_COST * ejected
    ratios = _ratios(found, judged)
    if not ratios:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"no group can be judged by {judged.title or 'its kind'}",
            why="the figure applies only to groups that end, or that wake up"
            if not judged.group
            else f"there may be no group {judged.group[:60]!r}",
            hint=f"others are: {', '.join(METRICS)}",
        )
    lost = 0.0
    for worse in _ratios(found, SearchGoal(metric="throughput")).values():
        lost += THROUGHPUT_COUNTS * max(0.0, math.log(worse) - SPARED)
    return sum(map(math.log, ratios.values())) / len(ratios) + lost / len(found)


def search(asked: argparse.Namespace) -> Searched:
    """Search, then measure the result with other seeds.

    Raises:
        Fault: those of the build, the trace, the space and the simulations.
    """
    space = read_space(asked.space)
    wanted = parse_simulated_objective(asked.objective) if asked.objective else None
    judged = SearchGoal(wanted, asked.metric, asked.group)
    defaults: dict[str, float | bool] = {each.name: each.default for each in space}
    seeds = [asked.seed + number for number in range(TUNED_FOR)]
    held_back = [asked.seed + 1000 + number for number in range(HELD_BACK)]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="schedpilot-search-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        bench = _SearchBench(asked, wanted, folder)
        try:
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=asked.seed))
            study.enqueue_trial(defaults)

            def objective(trial: optuna.Trial) -> float:
                values = {each.name: each.ask(trial) for each in space}
                found = cost(bench.compare(values, seeds), judged)
                done, so_far = trial.number + 1, math.exp(_best(study, found))
                sys.stderr.write(f"{done} of {asked.trials}: x{so_far:.3f} of the default's\n")
                sys.stderr.flush()
                return found

            study.optimize(objective, n_trials=asked.trials)
            values: dict[str, Any] = dict(study.best_params)
            before = bench.compare(defaults, held_back)
            after = bench.compare(values, held_back)
            tuned = study.trials[0].value or 0.0
            gain = 1 - math.exp(cost(after, judged) - cost(before, judged))
            notes = [*bench.work.notes, *(wanted.notes if wanted else ())]
            if gain <= 0:
                # Values that are better only with the seeds they were tuned with are not better.
                notes.append("the values found are no better with other seeds: the defaults stand")
                values, gain, after = dict(defaults), 0.0, before
            old = _ratios(before, judged)
            new = _ratios(after, judged)
        finally:
            bench.close()
    return Searched(
        scheduler=asked.name,
        metric=judged.title,
        seed=asked.seed,
        trials=asked.trials,
        workload=bench.work.workload,
        default=defaults,
        values=values,
        tuned_gain=round(1 - math.exp(study.best_value - tuned), 4),
        gain=round(gain, 4),
        groups=tuple(
            GroupResult(scenario, group, round(old[scenario, group], 4), round(ratio, 4))
            for (scenario, group), ratio in new.items()
            if (scenario, group) in old
        ),
        notes=tuple(notes),
    )


def _best(study: optuna.Study, latest: float) -> float:
    """The best cost so far, including the latest."""
    done = [each.value for each in study.trials if each.value is not None]
    return min([latest, *done])


def _asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="schedpilot search", allow_abbrev=False)
    what = parser.add_mutually_exclusive_group()
    parser.add_argument("--source", type=named_path, required=True, help="the scheduler's C")
    parser.add_argument("--space", type=named_path, required=True, help="its parameters, JSON")
    parser.add_argument("--name", default="candidate", help="its name")
    what.add_argument("--trace", type=named_path, help="a recorded workload")
    what.add_argument("--scenario", metavar="NAME", help="one scenario of the stress set")
    by = parser.add_mutually_exclusive_group()
    by.add_argument("--objective", default="", metavar="TEXT", help="`response p99`, …")
    by.add_argument("--metric", choices=sorted(METRICS), default="", help="one figure")
    parser.add_argument("--group", default="", help="only this group (or workload)")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--cpus", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--facts", default="", metavar="JSON", help="the facts that a policy needs")
    parser.add_argument("--btf", type=named_path, default=BTF, help="kernel to compile for")
    parser.add_argument("--cache", type=named_path, help="folder for build results")
    asked = parser.parse_args(words)
    if asked.trace is None and not asked.scenario:
        parser.error("say on what: --scenario NAME or --trace FILE")
    if not 1 <= asked.trials <= 10_000:
        parser.error("--trials is 1 to 10000")
    return asked


def main(words: Sequence[str]) -> int:
    asked = _asked(words)
    try:
        found = search(asked)
    except (Fault, OSError) as error:
        for line in fault_of(error).report().split("\n"):
            print(printable(line), file=sys.stderr)
        return 1
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
