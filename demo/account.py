# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's progress, its findings, and why it stopped: the account that is printed last.

The scene updates it at every step, so that it exists however the demo ends.
"""

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.api.models import TrialState, TrialView
from daemon.api.telling import change, sure
from demo.words import amount, listed

NAME = "account.json"
# Begins a line of the scene's output that is not for people but contains the current account, so
# that the host knows the progress even if the guest ends without a message.
MARK = "\x1e"


class DemoStep(StrEnum):
    """The steps of the demo, in order, each in the words of the account."""

    DAEMON = "the daemon ran"
    SERVICE = "the service was served, and its normal state was known"
    NOTICED = "the daemon noticed that the service suffers"
    KEPT = "a better scheduler was found and kept"
    ROLLED_BACK = "a bad scheduler was rolled back"


# What to try if a step is missing.
_REMEDY = {
    None: "see whether the lab boots, by `.venv/bin/schedpilot lab run true`; then try again",
    DemoStep.DAEMON: "look at report/redis.log and report/client.log; then run `make demo` again",
    DemoStep.SERVICE: "run `make demo` again; on a machine this busy the trouble may not show",
    DemoStep.NOTICED: (
        "run `make demo` again, with less load on the machine; report/daemon.log has each trial"
    ),
    DemoStep.KEPT: "run `make demo` again; report/daemon.log shows the daemon's reasons",
}


@dataclass(frozen=True)
class DemoAccount:
    """The progress. `why` is the reason if it stopped before its end, else empty."""

    reached: tuple[DemoStep, ...] = ()
    why: str = ""
    kept: Mapping[str, Any] | None = None
    bad: Mapping[str, Any] | None = None

    def after(self, step: DemoStep) -> "DemoAccount":
        return replace(self, reached=(*self.reached, step))

    @property
    def whole(self) -> bool:
        return DemoStep.ROLLED_BACK in self.reached

    @property
    def remedy(self) -> str:
        return _REMEDY.get(self.reached[-1] if self.reached else None, "")


@dataclass
class Book:
    """The account, sent again after every change: a line to `tell`."""

    tell: Callable[[str], object]
    account: DemoAccount = field(default_factory=DemoAccount)

    def write(self, account: DemoAccount) -> None:
        self.account = account
        told = {
            "reached": [step.name for step in account.reached],
            "why": account.why,
            "kept": account.kept,
            "bad": account.bad,
        }
        self.tell(f"{MARK}{json.dumps(told)}\n")


def defect(folder: Path, error: Exception) -> str:
    """A defect of ours, in words; its traceback goes to a file."""
    path = folder / "traceback.txt"
    path.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    return f"a defect, {type(error).__name__}: {error} (see report/{path.name})"


@dataclass
class Relay:
    """Passes the scene's output on, and stores the account lines in `folder`."""

    folder: Path
    hand_on: Callable[[bytes], object]
    _rest: bytes = b""

    def __call__(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(MARK.encode()):
                (self.folder / NAME).write_bytes(line[len(MARK) :])
            else:
                self.hand_on(line + b"\n")


def read(folder: Path) -> DemoAccount:
    """The account that a scene left; an empty one if there is none or it cannot be read."""
    try:
        raw = json.loads((folder / NAME).read_text(encoding="utf-8"))
        reached = tuple(DemoStep[name] for name in raw["reached"])
        return DemoAccount(reached, str(raw["why"]), raw["kept"], raw["bad"])
    except (OSError, ValueError, KeyError, TypeError):
        return DemoAccount()


def told(account: DemoAccount, why: str = "") -> list[str]:
    """The account in a few lines. `why`: the known reason for the end if the account has none."""
    lines: list[str] = []
    if account.kept:
        kept = TrialView.model_validate(account.kept)
        lines += _kept(kept)
    if account.bad:
        bad = TrialView.model_validate(account.bad)
        state = "rolled back" if bad.state is TrialState.ROLLED_BACK else bad.state.value
        count = len(bad.windows)
        lines += [
            f"bad choice: {bad.scheduler} was {state} after {listed(count, 'window')}",
            f"  {bad.reason}",
        ]
    if account.whole:
        return lines
    reached = "; ".join(step.value for step in account.reached) or "nothing yet"
    return [
        *lines,
        "the demo did not reach its end",
        f"  reached: {reached}",
        f"  stopped: {account.why or why or 'it ended without a message'}",
        f"  to do:   {account.remedy}",
    ]


def _kept(trial: TrialView) -> list[str]:
    verdict = trial.verdict
    if verdict is None:
        return [f"kept: {trial.scheduler}"]
    better = 1 - verdict.ratio
    return [
        f"kept: {trial.scheduler}, tried in {listed(len(trial.windows), 'window')}, in turn with "
        "the kernel's default",
        f"  the service's customers wait {amount(better)} "
        f"({change(verdict.low, verdict.high, trial.direction)}, with {sure(verdict.confidence)} "
        "confidence)",
    ]
