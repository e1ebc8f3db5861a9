# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates that need no kernel, asked about many schedulers at once."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from simulator.build import engine_for
from simulator.gates import GateOutcome, build, simulate, static
from tests.target import Target

from .table import source


@dataclass(frozen=True)
class Gates:
    """Passes schedulers through the gates as a candidate is, up to the first that stops it."""

    target: Target
    objects: Path

    def ask(self, kind: str, name: str) -> list[GateOutcome]:
        path = source("bad" if kind == "bad" else "good", name)
        answers = [static(path)]
        if not answers[-1].passed:
            return answers
        answer, made = build(
            path, self.objects, btf=self.target.btf, cache_folder=self.target.cache
        )
        answers.append(answer)
        if not answer.passed or made is None:
            return answers
        answers.append(
            simulate(path, made, {}, btf=self.target.btf, cache_folder=self.target.cache)
        )
        return answers


Verdicts = dict[tuple[str, str], Future[list[GateOutcome]]]


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest, target: Target) -> Iterator[Verdicts]:
    """The answers about all schedulers that the selected tests are about, by kind and name."""
    wanted = [
        (str(item.callspec.params["kind"]), str(item.callspec.params["name"]))
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and "verdicts" in item.fixturenames
        and "name" in item.callspec.params
    ]
    engine_for(target.btf, cache_folder=target.cache)
    with (
        tempfile.TemporaryDirectory(prefix="schedpilot-corpus-") as folder,
        ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        gates = Gates(target, Path(folder))
        yield {each: pool.submit(gates.ask, *each) for each in wanted}
        pool.shutdown(cancel_futures=True)
