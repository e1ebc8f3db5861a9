# SPDX-License-Identifier: GPL-2.0-or-later
"""What is to be proven, what the gates found, and who hears of it meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from daemon.api.models import Gate, GateResult, ParameterValue
from daemon.api.origin import Origin
from scheduler_library.policy.facts import Facts
from simulator.gates import Judged


@dataclass(frozen=True)
class Subject:
    """What is to be proven.

    `trace` is what was recorded of the workload in question; `canary`: that gate is wanted even
    where it takes minutes. `origin` leads from lines of the source to the policy they came from;
    `cpus`: other sizes of machine to be simulated; `facts`: what it is to be told of tasks;
    `judged`: by what the recorded workload is judged.
    """

    id: str
    name: str
    source: Path
    parameters: Mapping[str, ParameterValue]
    trace: Path | None = None
    canary: bool = False
    origin: Origin = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    facts: Facts = field(default_factory=Facts)
    judged: Judged | None = None


@dataclass(frozen=True)
class Proof:
    """What the gates found, and the object when there is one."""

    results: tuple[GateResult, ...]
    object: Path | None = None
    ops: str = ""

    @property
    def proven(self) -> bool:
        return bool(self.results) and all(result.passed for result in self.results)

    @property
    def stopped_by(self) -> GateResult | None:
        """The gate that keeps it from being loaded: the first that refused it, else one that was
        not run.

        If it does not compile, the compiler's messages come before those of the static check.
        """
        failed = [each for each in self.results if not each.passed]
        failed.sort(key=lambda each: (bool(each.skipped), each.gate is not Gate.BUILD))
        return next(iter(failed), None)


class GateListener(Protocol):
    """Hears of each gate as it happens."""

    def started(self, gate: Gate) -> None: ...
    def progress(self, gate: Gate, text: str, done: int, of: int) -> None: ...
    def answered(self, result: GateResult) -> None: ...


class Passing(Protocol):
    """Passes a subject through the gates."""

    async def __call__(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof: ...
