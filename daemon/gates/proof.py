# SPDX-License-Identifier: GPL-2.0-or-later
"""The subject of a proof, the gates' findings, and who is notified meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from daemon.api.models import Gate, GateResult, ParameterValue
from daemon.api.origin import Origin
from scheduler_library.policy.facts import PolicyFacts
from simulator.gates import JudgedBy


@dataclass(frozen=True)
class Subject:
    """The subject of a proof.

    `trace` is the recording of the workload in question; `canary`: that gate is wanted even if it
    takes minutes. `origin` leads from lines of the source to the policy they came from; `cpus`:
    further machine sizes to simulate; `facts`: the facts about tasks that it needs; `judged`: how
    the recorded workload is judged.
    """

    id: str
    name: str
    source: Path
    parameters: Mapping[str, ParameterValue]
    trace: Path | None = None
    canary: bool = False
    origin: Origin = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    facts: PolicyFacts = field(default_factory=PolicyFacts)
    judged: JudgedBy | None = None


@dataclass(frozen=True)
class Proof:
    """The gates' findings, and the object if there is one."""

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
    """Notified of each gate as it happens."""

    def started(self, gate: Gate) -> None: ...
    def progress(self, gate: Gate, text: str, done: int, of: int) -> None: ...
    def answered(self, result: GateResult) -> None: ...


class Passing(Protocol):
    """Passes a subject through the gates."""

    async def __call__(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof: ...
