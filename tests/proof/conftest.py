# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources that are built once and proven for the lab's kernel."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="session")
def prover(target: Target) -> Iterator[Prover]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-prover-") as folder:
        yield Prover(target, Path(folder))
