# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that both sides need, built on the host: programs, schedulers, scenarios."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agreement.plan import Object, Prepared, write_prepared
from benchmarks.agreement.schedulers import ComparedScheduler
from benchmarks.agreement.workloads import WORKLOADS
from bpf.build.clang import find_clang
from bpf.build.kit import digest
from bpf.build.objects import build_object
from process import run
from simulator.build import build_native
from simulator.calibration import PROGRAM
from simulator.run import NativeScheduler
from simulator.scenario import SimulatedMachine

# The lab's guest has this many.
CPUS = 2
BUILD_S = 60.0
# The first file names the program.
REPLAY = tuple(Path(__file__).parent / name for name in ("replay.c", "cgroups.c"))


@dataclass(frozen=True)
class Bench:
    """`candidates` for the simulator, by scheduler; without the default. `scenarios` has a digest
    of the performed tasks, by workload."""

    folder: Path
    candidates: dict[str, NativeScheduler]
    scenarios: dict[str, str]


def prepare(
    folder: Path,
    compared: Sequence[ComparedScheduler],
    repetitions: int,
    btf: Path,
    cache_folder: Path | None,
) -> Bench:
    """Fill `folder` for guest.py. The seed of a repetition is its number, from 1.

    Raises:
        Fault: what building a scheduler raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for sources in (REPLAY, (PROGRAM,)):
        program = folder / sources[0].stem
        run([find_clang().path, "-O2", "-std=gnu11", *sources, "-o", program], timeout=BUILD_S)
    objects: dict[str, Object] = {}
    candidates: dict[str, NativeScheduler] = {}
    for each in compared:
        built = build_object(
            each.source, folder, name=each.file, btf=btf, cache_folder=cache_folder
        )
        native = build_native(
            each.source, folder / "native", name=each.file, btf=btf, cache_folder=cache_folder
        )
        objects[each.name] = Object(built.require().name, each.expects)
        candidates[each.name] = NativeScheduler(native.require(), built.require())
    texts = {
        name: [make(SimulatedMachine(CPUS)).seeded(1 + turn).text() for turn in range(repetitions)]
        for name, make in WORKLOADS.items()
    }
    write_prepared(folder, Prepared(objects, texts))
    return Bench(folder, candidates, {name: digest(*text) for name, text in texts.items()})
