# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates that a candidate passes before it may run on the host.

static and build → controls → simulate and verify → canary; the gates of a step run side by side,
and the next step starts when all have passed. Each answers with pass or fail, figures, and messages
that a person or a model can act on, and reports at once. A gate never raises for trouble with the
candidate; a `Fault` from here means that the gate itself could not do its work. The one exception
is a refused policy: then there is no candidate for a gate to judge.
"""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bpf.build import kit
from bpf.build.clang import find_clang
from bpf.kernel import sysfs
from bpf.runner import process as runner
from daemon.api.models import Gate, GateMessage, GateResult, ParameterValue
from daemon.api.origin import in_policy
from daemon.config import GatesTable
from daemon.gates.canary import canary_gate
from daemon.gates.controls import ControlsGate, of_object
from daemon.gates.kernel_types import types_for
from daemon.gates.proof import GateListener, Proof, Subject
from daemon.gates.simulation import simulation_gate
from daemon.gates.verifier import Verifier, result_of, verify_gate
from daemon.gates.warm_check import WarmCheck
from process import Fault, Priority
from process.effort import current
from scheduler_library.this_machine import compile_here
from simulator import gates as work

if TYPE_CHECKING:
    from scheduler_library.policy.compiler import CompiledPolicy, Use


async def compile_gate(text: str) -> "tuple[GateResult, CompiledPolicy | Use]":
    """The policy's compiler.

    Raises:
        Fault: BAD_POLICY, with the column and what was expected there.
    """
    start = time.monotonic()
    compiled = await asyncio.to_thread(compile_here, text)
    seconds = time.monotonic() - start
    result = GateResult(
        gate=Gate.COMPILE,
        passed=True,
        seconds=seconds,
        messages=[GateMessage.model_validate(each.message()) for each in compiled.doubts],
        figures={"seconds": seconds},
    )
    return result, compiled


def spelled(parameters: Mapping[str, ParameterValue]) -> dict[str, str]:
    """Parameters in the format of the runner and the simulator.

    Raises:
        Fault: BAD_PARAMETER.
    """
    return {name: runner.spell(name, value) for name, value in parameters.items()}


class Gates:
    """The gates of this machine, as configured. `verifier` is this kernel's by default, and
    `controls` judges by this machine's cgroups.
    """

    def __init__(
        self,
        *,
        settings: GatesTable,
        cache: Path,
        sysfs_root: Path = sysfs.ROOT,
        verifier: Verifier | None = None,
        warm: WarmCheck | None = None,
        controls: ControlsGate | None = None,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._root = sysfs_root
        self._verifier = verifier
        self._warm = warm
        self._controls = controls or ControlsGate(settings=settings, sysfs_root=sysfs_root)

    @property
    def types(self) -> Path:
        """The BTF to build for: this kernel's, or a given one instead."""
        return types_for(self._settings, self._root)

    def prepare(self) -> None:
        """Compile what all candidates share: headers, and the simulator's engine.

        Raises:
            Fault: MISSING_TOOL, STATE, CHILD_FAILED.
        """
        if work.without_types(self.types):
            return
        kit.prepare(self.types, cache_folder=self._cache)
        if self._settings.simulate:
            from simulator.build import engine_for  # imported late: needed only this once

            engine_for(self.types, cache_folder=self._cache)

    def mark(self) -> str:
        """Changes with the kernel's types, the compiler and the headers, in their current state.

        Raises:
            Fault: MISSING_TOOL, UNSUPPORTED without BTF.
        """
        find_clang.cache_clear()
        return kit.key_for(find_clang(), self.types)

    async def __call__(
        self, subject: Subject, told: GateListener, before: tuple[GateResult, ...] = ()
    ) -> Proof:
        """Pass a candidate through; `before` are the answers of gates that are done.

        Raises:
            Fault: those that keep a gate from its work (MISSING_TOOL, STATE), and BAD_PARAMETER.
        """
        values = spelled(subject.parameters)
        checked, (built, object) = await asyncio.gather(
            self._checked(subject, told), self._built(subject, told)
        )
        results = [*before, checked, built]
        if object is None or not checked.passed:
            return Proof(tuple(results))
        told.started(Gate.CONTROLS)
        controlled = await self._controls(lambda: of_object(object))
        told.answered(controlled)
        results.append(controlled)
        if not controlled.passed:
            return Proof(tuple(results), object)
        simulated, verified, ops = await self._simulated_and_verified(subject, object, values, told)
        results += [each for each in (simulated, verified) if each]
        stopped = any(not each.passed and not each.skipped for each in results)
        if not stopped and (verified.passed or subject.canary):
            canary = await canary_gate(
                object,
                values,
                self._settings,
                cache=self._cache,
                asked=subject.canary,
                told=told,
            )
            told.answered(canary)
            results.append(canary)
        return Proof(tuple(results), object, ops)

    async def _checked(self, subject: Subject, told: GateListener) -> GateResult:
        told.started(Gate.STATIC)
        checked = await self._warmly_checked(subject.source)
        if checked is None:
            checked = await asyncio.to_thread(work.static, subject.source, cache_folder=self._cache)
        result = in_policy(result_of(checked), subject.origin)
        told.answered(result)
        return result

    async def _warmly_checked(self, source: Path) -> work.GateOutcome | None:
        """The answer of the process that waits for this; None if it is not running.

        Work done ahead has time, and does not take that process's place.
        """
        now = current()
        if self._warm is None or (now is not None and now.priority is Priority.AHEAD):
            return None
        start = time.monotonic()
        known = await asyncio.to_thread(work.static_known, source, cache_folder=self._cache)
        if known is not None:
            return known
        nice = Priority.ORDINARY.value if now is None else now.priority.value
        try:
            found = await self._warm.check(source, nice)
        except Fault as fault:
            return work.refused(Gate.STATIC, fault, time.monotonic() - start)
        if found is None:
            return None
        seconds = time.monotonic() - start
        return await asyncio.to_thread(
            work.static_answer, source, found, seconds, cache_folder=self._cache
        )

    async def _built(self, subject: Subject, told: GateListener) -> tuple[GateResult, Path | None]:
        told.started(Gate.BUILD)
        out = self._cache / "candidates" / subject.id
        built, object = await asyncio.to_thread(
            work.build, subject.source, out, btf=self.types, cache_folder=self._cache
        )
        result = in_policy(result_of(built), subject.origin)
        told.answered(result)
        return result, object

    async def _simulated_and_verified(
        self, subject: Subject, object: Path, values: Mapping[str, str], told: GateListener
    ) -> tuple[GateResult | None, GateResult, str]:
        """Simulation and verifier.

        The verifier is quick, and if it refuses the candidate, the simulation is stopped; the
        simulator's first findings do not keep anybody from the verifier's answer.
        """
        simulating = asyncio.create_task(self._simulated(subject, object, values, told))
        try:
            told.started(Gate.VERIFY)
            verified, ops = await verify_gate(
                object,
                subject.parameters,
                cache=self._cache,
                sysfs_root=self._root,
                verifier=self._verifier,
            )
            told.answered(verified)
            if verified.passed or verified.skipped or simulating.done():
                return await simulating, verified, ops
            return None, verified, ops
        finally:
            if not simulating.done():
                simulating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await simulating

    async def _simulated(
        self, subject: Subject, object: Path, values: Mapping[str, str], told: GateListener
    ) -> GateResult:
        if not self._settings.simulate:
            why = "it is switched off in the configuration ([gates] simulate)"
            result = result_of(work.skipped(Gate.SIMULATE, why, passed=True))
        else:
            told.started(Gate.SIMULATE)
            result = await simulation_gate(
                subject.source,
                object,
                values,
                trace=subject.trace,
                cpus=subject.cpus,
                facts=subject.facts,
                judged=subject.judged,
                btf=self.types,
                cache=self._cache,
                progress=lambda text, done, of: told.progress(Gate.SIMULATE, text, done, of),
            )
        told.answered(result)
        return result
