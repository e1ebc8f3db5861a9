# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures the cost of switches and wakeups on this machine, so that the simulator need not assume
it.

    python -m simulator.calibration

measures (calibrate.c, about five seconds of an idle machine) and stores the figures in the cache,
by kernel and CPU; after that `calibrated` gives them to every simulation. docs/agreement.md
explains each figure. Figures from a busy machine are not stored.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bpf.build import cache
from bpf.build.clang import find_clang
from bpf.build.kit import digest
from process import Fault, FaultType, first_problem, run
from simulator.scenario import SimulatedMachine

PROGRAM = Path(__file__).parent / "calibrate.c"
COMPILE_LIMIT_S = 60.0
MEASURE_LIMIT_S = 60.0
_FOLDER = "calibration"
MOST_NS = 100_000_000
PERCENTILES = 101
# If rounds differ by more, the machine was not idle: on an idle one they differ by a tenth, and
# twice the cost is another machine.
NOISE_LIMIT = 2.0
ATTEMPTS = 3


class Round(BaseModel):
    """The result of one round of calibrate.c: medians in ns, and the percentiles of timers.

    `busy`: timers interrupted another task. `cross_ns` is None on a machine with one CPU.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    call_ns: int = Field(ge=0, le=MOST_NS)
    fork_ns: int = Field(ge=0, le=MOST_NS)
    switch_ns: int = Field(ge=0, le=MOST_NS)
    cross_ns: int | None = Field(default=None, ge=0, le=MOST_NS)
    timer_ns: int = Field(ge=0, le=MOST_NS)
    busy: bool
    timers_ns: tuple[int, ...] = Field(min_length=PERCENTILES, max_length=PERCENTILES)


class Rounds(BaseModel):
    """The whole output of calibrate.c."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick_ns: int = Field(ge=100_000, le=MOST_NS)
    rounds: tuple[Round, ...] = Field(min_length=1)


class Costs(BaseModel):
    """The costs that the simulator charges; medians in ns.

    `late_ns`: percentiles, from 0 to 100, of a timer interrupt's lateness. `noise`: the differences
    between rounds: the worst cost's second largest median over its second smallest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick_ns: int = Field(ge=100_000, le=MOST_NS)
    call_ns: int = Field(ge=0, le=MOST_NS)
    fork_ns: int = Field(ge=0, le=MOST_NS)
    switch_ns: int = Field(ge=0, le=MOST_NS)
    timer_ns: int = Field(ge=0, le=MOST_NS)
    cross_ns: int | None = Field(default=None, ge=0, le=MOST_NS)
    late_ns: tuple[Annotated[int, Field(ge=0, le=MOST_NS)], ...] = Field(max_length=PERCENTILES)
    noise: float = Field(ge=1)

    @property
    def noisy(self) -> bool:
        return self.noise > NOISE_LIMIT

    def machine(self, cpus: int) -> SimulatedMachine:
        """The simulator's machine with these costs."""
        wake = self.cross_ns if self.cross_ns is not None else self.timer_ns
        return SimulatedMachine(
            cpus=cpus,
            tick_ns=self.tick_ns,
            switch_ns=self.switch_ns,
            wake_ns=max(100, wake - self.switch_ns),
            late_ns=self.late_ns,
            fork_ns=self.fork_ns,
        )


def costs_of(measured: Rounds) -> Costs:
    """The medians over the rounds, so that a disturbance of fewer than half of them has no effect.

    A sleeper's path: the timer's interrupt, which comes late; then a switch, and on an idle CPU the
    cost of any wakeup there. The rest of the measured time is the timer's lateness.
    """
    rounds = measured.rounds
    crossing = [each.cross_ns for each in rounds if each.cross_ns is not None]
    switch = _middle([each.switch_ns for each in rounds])
    cross = _middle(crossing) if crossing else None
    percentiles = [_middle(each) for each in zip(*(r.timers_ns for r in rounds), strict=True)]
    known = switch if cross is None or all(each.busy for each in rounds) else cross
    series = [[each.switch_ns for each in rounds], [each.timer_ns for each in rounds], crossing]
    return Costs(
        tick_ns=measured.tick_ns,
        call_ns=_middle([each.call_ns for each in rounds]),
        fork_ns=_middle([each.fork_ns for each in rounds]),
        switch_ns=switch,
        timer_ns=_middle([each.timer_ns for each in rounds]),
        cross_ns=cross,
        late_ns=tuple(max(0, each - known) for each in percentiles),
        noise=max(1.0, *(_spread(each) for each in series)),
    )


def _middle(values: Sequence[int]) -> int:
    return int(statistics.median(values))


def _spread(values: Sequence[int]) -> float:
    """The second largest over the second smallest; with fewer than four, the largest
    and smallest.
    """
    if not values:
        return 1.0
    ordered = sorted(values)[1:-1] if len(values) > 3 else sorted(values)
    return ordered[-1] / max(1, ordered[0])


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file(cache_folder: Path | None) -> Path:
    key = digest(platform.release(), _cpu_model(), str(os.cpu_count()))
    return cache.folder(cache_folder) / _FOLDER / f"{key}.json"


def calibrated(cpus: int, *, cache_folder: Path | None = None) -> SimulatedMachine:
    """A machine with the costs measured on this one, else with assumed ones."""
    try:
        return Costs.model_validate_json(_file(cache_folder).read_bytes()).machine(cpus)
    except (OSError, ValidationError):
        return SimulatedMachine(cpus=cpus)


def measure() -> Costs:
    """Measure now; takes about five seconds, and is only meaningful on an otherwise idle machine.

    Raises:
        Fault: MISSING_TOOL, CHILD_FAILED, TIMEOUT.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-calibrate-") as place:
        program = Path(place) / "calibrate"
        clang = find_clang().path
        run([clang, "-O2", "-std=gnu11", PROGRAM, "-o", program], timeout=COMPILE_LIMIT_S)
        done = run([program], timeout=MEASURE_LIMIT_S)
    try:
        return costs_of(Rounds.model_validate_json(done.stdout))
    except ValidationError as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the costs of this machine are out of bounds",
            why=first_problem(error),
            hint="measure again when the machine is idle; until then they are assumed",
        ) from None


def store(costs: Costs, *, cache_folder: Path | None = None) -> None:
    """Store them for `calibrated`.

    Raises:
        Fault: BUSY if the machine was busy, STATE.
    """
    if costs.noisy:
        raise Fault(
            FaultType.BUSY,
            "the costs of this machine cannot be measured: something else keeps it busy",
            why=f"between rounds they differ by a factor of {costs.noise:.1f}",
            hint="measure again when the machine is idle; until then the stored figures are used",
        )
    cache.write(_file(cache_folder), costs.model_dump_json().encode())


def calibrate(*, cache_folder: Path | None = None) -> Costs:
    """Measure until the rounds agree, a few times at most, and store. Raises the faults of both."""
    costs = measure()
    for _ in range(ATTEMPTS - 1):
        if not costs.noisy:
            break
        costs = measure()
    store(costs, cache_folder=cache_folder)
    return costs


def main() -> int:
    try:
        costs = calibrate()
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        return 1
    sys.stdout.write(json.dumps(costs.model_dump()) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
