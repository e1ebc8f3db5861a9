# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's events in a few short lines."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.api.models import Arm, Event, EventKind, TrialView, WindowView

# The gates' names for an audience.
_GATES = {
    "static": "source checked",
    "build": "compiled",
    "simulate": "simulated",
    "verify": "accepted by the kernel's verifier",
    "canary": "tried in a virtual machine",
}
# Shown in the daemon's own words.
_AS_SAID = {
    EventKind.DEGRADATION,
    EventKind.GATE_FAILED,
    EventKind.TRIAL_STARTED,
    EventKind.KEPT,
    EventKind.ROLLBACK,
    EventKind.UNMEASURED,
    EventKind.EJECTED,
    EventKind.QUARANTINED,
    EventKind.ADVICE_ONLY,
    EventKind.SIGNALS_LOST,
}
# Windows that share one line: a whole round of baseline and candidate.
BLOCK = 4
_LONGEST = 300


def listed(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def amount(better: float) -> str:
    """How much shorter or longer, in everyday words."""
    if better >= 0.995:
        return "almost nothing"
    return f"{abs(better):.0%} {'shorter' if better >= 0 else 'longer'}"


def _plain(value: float) -> str:
    """Three digits, and no power of ten."""
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"


def values(windows: Sequence[WindowView], unit: str) -> str:
    """The values of some windows, grouped by arm; times in milliseconds."""
    scale, unit = (1000.0, "ms") if unit == "us" else (1.0, unit)
    said = []
    for arm, name in ((Arm.BASELINE, "before"), (Arm.CANDIDATE, "candidate")):
        mine = [each for each in windows if each.arm is arm]
        if mine:
            figures = [
                "not counted" if each.excluded else _plain(each.value / scale) for each in mine
            ]
            said.append(f"{name} {' and '.join(figures)}")
    return f"{', '.join(said)} {unit}".rstrip()


@dataclass
class EventLines:
    """Turns events into lines. Related events become one line."""

    passed: dict[str, list[str]] = field(default_factory=dict)
    told_windows: int = 0
    trial: str = ""

    def lines(self, event: Event, trial: TrialView | None = None) -> list[str]:
        """The lines for an event; `trial` is the one that it is about, for windows."""
        if event.kind is EventKind.GATE_PASSED:
            # Shown when all of them are finished.
            self.passed.setdefault(event.candidate, []).append(_gate(event))
            return []
        lines = []
        if event.kind is EventKind.TRIAL_STARTED:
            lines += self._proven(event)
            self.trial, self.told_windows = event.trial, 0
        if event.kind is EventKind.GATE_FAILED:
            self.passed.pop(event.candidate, None)
        if trial is not None and trial.id == self.trial:
            lines += self._windows(trial, whole=event.kind is EventKind.WINDOW)
        if event.kind in _AS_SAID:
            lines.append(_short(event.message))
        return lines

    def _proven(self, event: Event) -> list[str]:
        passed = dict.fromkeys(each for each in self.passed.pop(event.candidate, ()) if each)
        return [f"{event.scheduler}: {', '.join(passed)}"] if passed else []

    def _windows(self, trial: TrialView, *, whole: bool) -> list[str]:
        windows = trial.windows[self.told_windows :]
        if not windows or (whole and len(windows) < BLOCK):
            return []
        first, last = self.told_windows + 1, len(trial.windows)
        self.told_windows = last
        numbers = f"window {first}" if first == last else f"windows {first} to {last}"
        return [f"{numbers}: {values(windows, trial.unit)}"]


def _gate(event: Event) -> str:
    for name, words in _GATES.items():
        if name in event.message.split():
            return words
    return ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
