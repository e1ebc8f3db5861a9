# SPDX-License-Identifier: GPL-2.0-or-later
"""Schedulers prepared for the simulator, each once for all tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from simulator.build import build_native
from simulator.run import NativeScheduler, SimulationFigures, simulate
from simulator.scenario import Scenario
from tests.target import Target

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "schedulers"


class Workbench:
    """Builds and runs for the lab's kernel."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        self._made: dict[str, NativeScheduler] = {}

    def make(
        self, source: Path | str, name: str, *, headers: tuple[Path, ...] = ()
    ) -> NativeScheduler:
        """A candidate from a C source, by the name of its file."""
        if name not in self._made:
            built = self.target.build(source, self.folder, name=f"{name}.bpf.c", headers=headers)
            native = build_native(
                source,
                self.folder,
                name=f"{name}.bpf.c",
                headers=headers,
                btf=self.target.btf,
                cache_folder=self.target.cache,
            )
            self._made[name] = NativeScheduler(native.require(), built.require())
        return self._made[name]

    def library(self, name: str) -> NativeScheduler:
        return self.make(
            ROOT / "scheduler_library" / "schedulers" / name / f"{name}.bpf.c", f"library_{name}"
        )

    def beside(self, name: str) -> NativeScheduler:
        """One of the schedulers beside these tests, or beside those of bpf/."""
        own = BAD / f"{name}.bpf.c"
        return self.make(
            own if own.is_file() else ROOT / "tests/bpf/schedulers" / f"{name}.bpf.c", name
        )

    def policy(self, line: str) -> NativeScheduler:
        compiled = compile_policy(line, machine=TargetMachine(4, lambda _: None))
        assert isinstance(compiled, CompiledPolicy)
        return self.make(compiled.source, compiled.name)

    def run(self, candidate: NativeScheduler | None, scenario: Scenario) -> SimulationFigures:
        return simulate(candidate, scenario, btf=self.target.btf, cache_folder=self.target.cache)


@pytest.fixture(scope="session")
def bench(target: Target) -> Iterator[Workbench]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-bench-") as folder:
        yield Workbench(target, Path(folder))
