# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources that are built once and proven for the lab's kernel."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bpf.kernel.callbacks import read_object_callbacks
from simulator.controls import control_set
from simulator.stress import STRESS_MACHINE, stress_set
from simulator.stress_verdict import StressVerdict, prove
from tests.target import Target


class Prover:
    """Builds a source and proves it."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder

    def prove(
        self, source: Path, parameters: Mapping[str, str] | None = None, **more: Any
    ) -> StressVerdict:
        made = self.target.build(source, self.folder).require()
        return prove(
            source,
            made,
            parameters or {},
            btf=self.target.btf,
            cache_folder=self.target.cache,
            **more,
        )

    def asked(self, source: Path) -> list[str]:
        """The names of the scenarios for a source, by what its object says that it honours."""
        made = self.target.build(source, self.folder).require()
        controls = control_set(STRESS_MACHINE, read_object_callbacks(made) or ())
        return [each.name for each in (*stress_set(), *controls)]


@pytest.fixture(scope="session")
def prover(target: Target) -> Iterator[Prover]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-prover-") as folder:
        yield Prover(target, Path(folder))
