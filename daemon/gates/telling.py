# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates' results for a candidate, as events and as one sentence."""

import time
from collections.abc import Callable, Mapping

from daemon.api.models import Event, EventKind, Gate, GateResult
from daemon.gates.proof import Proof

# Seconds between two progress reports of a gate.
PROGRESS_S = 1.0


def result_reason(result: GateResult) -> str:
    """The first error that a gate found, with its cause; empty if it passed."""
    first = next((each for each in result.messages if each.severity == "error"), None)
    if first is None:
        return ""
    return f"{first.message}: {first.cause}" if first.cause else first.message


def stopped_reason(proof: Proof) -> str:
    """Which gate keeps a candidate from being loaded, and why; empty if none does."""
    result = proof.stopped_by
    if result is None:
        return ""
    if result.skipped:
        return f"the gate {result.gate.value!r} was not run: {result.skipped}"
    reason = result_reason(result)
    return f"the gate {result.gate.value!r} stopped it" + (f": {reason}" if reason else "")


class Silent:
    """Publishes nothing: for a candidate that nobody waits for, others report only the outcome."""

    def started(self, gate: Gate) -> None:
        pass

    def progress(self, gate: Gate, text: str, done: int, of: int) -> None:
        pass

    def answered(self, result: GateResult) -> None:
        pass


class GateEvents:
    """Publishes the gates' results for one candidate."""

    def __init__(self, publish: Callable[..., Event], id: str, name: str) -> None:
        self._publish = publish
        self._id = id
        self._name = name
        self._quiet_until = 0.0

    def started(self, gate: Gate) -> None:
        self._say(EventKind.GATE_STARTED, f"{self._name}: {gate.value} begins")

    def progress(self, gate: Gate, text: str, done: int, of: int) -> None:
        """Not every step: readers are people, and the journal keeps everything."""
        now = time.monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + PROGRESS_S
        self._say(
            EventKind.GATE_PROGRESS,
            f"{self._name}: {gate.value}, {done} of {of}: {text}",
            figures={"done": done, "of": of},
        )

    def answered(self, result: GateResult) -> None:
        reason = result.skipped or result_reason(result)
        kind, how = EventKind.GATE_FAILED, "failed"
        if result.skipped:
            kind, how = EventKind.GATE_SKIPPED, "was not run"
        elif result.passed:
            took = "known from before" if result.reused else f"in {result.seconds:.1f} s"
            kind, how = EventKind.GATE_PASSED, f"passed ({took})"
        self._say(
            kind,
            f"{self._name}: {result.gate.value} {how}" + (f": {reason}" if reason else ""),
            reason=reason,
            figures=result.figures,
        )

    def _say(
        self,
        kind: EventKind,
        message: str,
        *,
        reason: str = "",
        figures: Mapping[str, float] | None = None,
    ) -> None:
        self._publish(
            kind,
            message,
            candidate=self._id,
            scheduler=self._name,
            reason=reason,
            figures=figures,
        )
