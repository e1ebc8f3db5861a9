# SPDX-License-Identifier: GPL-2.0-only
"""What switches and wakeups cost on this machine, so that the simulator need not assume it.

    python -m simulator.calibration

measures (calibrate.c, about two seconds of an idle machine) and stores the figures in the cache,
by kernel and CPU; `calibrated` gives them to every simulation after that. docs/agreement.md says
what each means.
"""

import json
import os
import platform
import sys
import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bpf import cache
from bpf.clang import find_clang
from bpf.kit import digest
from process import Fault, FaultType, run
from simulator.scenario import Machine

PROGRAM = Path(__file__).parent / "calibrate.c"
COMPILE_LIMIT_S = 60.0
MEASURE_LIMIT_S = 60.0
_FOLDER = "calibration"


class Costs(BaseModel):
    """What calibrate.c prints; medians in ns. `cross_ns` is None where there is one CPU."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick_ns: int = Field(ge=100_000, le=100_000_000)
    call_ns: int = Field(ge=0, le=100_000_000)
    switch_ns: int = Field(ge=0, le=100_000_000)
    timer_ns: int = Field(ge=0, le=100_000_000)
    cross_ns: int | None = Field(default=None, ge=0, le=100_000_000)

    def machine(self, cpus: int) -> Machine:
        """The simulator's machine with these costs."""
        wake = self.cross_ns if self.cross_ns is not None else self.timer_ns
        return Machine(
            cpus=cpus,
            tick_ns=self.tick_ns,
            switch_ns=self.switch_ns,
            wake_ns=max(100, wake - self.switch_ns),
        )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file(cache_folder: Path | None) -> Path:
    key = digest(platform.release(), _cpu_model(), str(os.cpu_count()))
    return cache.folder(cache_folder) / _FOLDER / f"{key}.json"


def calibrated(cpus: int, *, cache_folder: Path | None = None) -> Machine:
    """A machine with the costs that were measured on this one, else with the assumed ones."""
    try:
        return Costs.model_validate_json(_file(cache_folder).read_bytes()).machine(cpus)
    except (OSError, ValidationError):
        return Machine(cpus=cpus)


def measure() -> Costs:
    """Measure now; takes about two seconds, and means something only where little else runs.

    Raises:
        Fault: MISSING_TOOL, CHILD_FAILED, TIMEOUT.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-calibrate-") as place:
        program = Path(place) / "calibrate"
        clang = find_clang().path
        run([clang, "-O2", "-std=gnu11", PROGRAM, "-o", program], timeout=COMPILE_LIMIT_S)
        done = run([program], timeout=MEASURE_LIMIT_S)
    try:
        return Costs.model_validate_json(done.stdout)
    except ValidationError as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the costs of this machine are out of bounds",
            why=str(error.errors()[0]["msg"]),
            hint="measure again when the machine is idle; until then they are assumed",
        ) from None


def calibrate(*, cache_folder: Path | None = None) -> Costs:
    """Measure, and store for `calibrated`. Raises as `measure`, and STATE."""
    costs = measure()
    cache.write(_file(cache_folder), costs.model_dump_json().encode())
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
