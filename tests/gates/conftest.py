# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon's gates, on a machine whose kernel may have no sched_ext."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bpf.kernel.controls import ControlsInUse
from daemon.api.models import Gate, GateResult
from daemon.config import GatesTable
from daemon.gates.chain import Gates
from daemon.gates.controls import ControlsGate
from daemon.gates.proof import Proof, Subject
from tests.target import Target

ROOT = Path(__file__).parents[2]


@dataclass
class Heard:
    """The reports of the gates, in order."""

    started_gates: list[Gate] = field(default_factory=list)
    steps: list[tuple[Gate, str, int, int]] = field(default_factory=list)
    results: list[GateResult] = field(default_factory=list)

    def started(self, gate: Gate) -> None:
        self.started_gates.append(gate)

    def progress(self, gate: Gate, text: str, done: int, of: int) -> None:
        self.steps.append((gate, text, done, of))

    def answered(self, result: GateResult) -> None:
        self.results.append(result)


Pass = Callable[..., tuple[Proof, Heard]]


@pytest.fixture
def through(target: Target, tmp_path: Path) -> Pass:
    """Pass a source through the gates; `sysfs_root` is that of a kernel without sched_ext."""

    def call(
        source: Path, *, canary: bool = False, trace: Path | None = None, **settings: Any
    ) -> tuple[Proof, Heard]:
        table = GatesTable(kernel_types=str(target.btf), **settings)
        gates = Gates(
            settings=table,
            cache=target.cache,
            sysfs_root=tmp_path / "none",
            controls=ControlsGate(settings=table, sysfs_root=tmp_path / "none", read=ControlsInUse),
        )
        heard = Heard()
        subject = Subject(f"c-{source.stem}", source.stem, source, {}, trace, canary)
        return asyncio.run(gates(subject, heard)), heard

    return call
