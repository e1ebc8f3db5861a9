# SPDX-License-Identifier: GPL-2.0-or-later
"""Ejections and windows that do not count in a trial, with a fake kernel."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from daemon.api.models import Arm, Event, EventKind, TrialRequest, TrialState
from daemon.decide.objective import Measurement, parse_objective
from daemon.decide.observation import Observation
from daemon.decide.settings import TrialSettings
from daemon.gates.candidates import Candidate
from daemon.gates.proof import Proof
from daemon.lifecycle import trials as trials_module
from daemon.lifecycle.attachment import ExitReason, Loadable
from daemon.lifecycle.loader import Loaded
from daemon.lifecycle.trials import Trial, Trials
from daemon.service.events import EventLog
from process import Fault, FaultType
from scheduler_library.manifest import EntryKind
from tests.decide.synthetic import SERVICE, seeded, serving, workload

EXCUSED = "runtime error: RCU CPU stall on CPUs ()"
ITS_OWN = "runtime error: invalid DSQ 0x7"


@dataclass
class Kernel:
    """A fake loader that refuses or ejects on request, in order."""

    refusals: list[str] = field(default_factory=list)
    loaded: Loaded | None = None
    loads: int = 0
    changing: bool = False

    def foreign(self) -> str:
        return ""

    async def load(self, what: Loadable, why: Any) -> Loaded:
        self.loads += 1
        if self.refusals:
            raise Fault(FaultType.EJECTED, "it was thrown out", why=self.refusals.pop(0))
        self.loaded = Loaded(what, what.ops, why, time.time())
        return self.loaded

    async def unload(self) -> None:
        self.loaded = None

    def relabel(self, why: Any) -> None:
        assert self.loaded is not None


@dataclass
class Signals:
    """A fake watch: an interval of a tenth of a second, always now. With `ended`, the workload
    answers this many requests in each."""

    stolen: float = 0.0
    ended: int | None = None
    interval_s: float = 0.1

    async def set_interval(self, seconds: float) -> None:
        pass

    async def usual_interval(self) -> None:
        pass

    def measurements(self, names: Iterable[str], since: float) -> list[Measurement]:
        """Nobody measures anything here."""
        return []

    @contextlib.contextmanager
    def subscribed(self) -> Iterator["asyncio.Queue[Observation]"]:
        queue: asyncio.Queue[Observation] = asyncio.Queue()
        dice = seeded(5)

        async def tick() -> None:
            while True:
                await asyncio.sleep(0.01)
                each = workload(dice)
                if self.ended is not None:
                    # One more is always under way.
                    each = serving(
                        dice, response_us=500, ended=self.ended, seconds=0.01, open_us=[900.0]
                    )
                part = {SERVICE: each}
                queue.put_nowait(Observation(time.time(), 0.01, part, stolen=self.stolen))

        ticking = asyncio.create_task(tick())
        try:
            yield queue
        finally:
            ticking.cancel()


class Candid(Candidate):
    """A proven candidate."""

    def loadable(self) -> Loadable:
        return Loadable(candidate=self.id, name=self.name, ops=self.name)


@dataclass
class Outcome:
    trial: Trial
    gone: ExitReason | None
    events: list[Event]
    kernel: Kernel

    def told(self, kind: EventKind) -> list[str]:
        return [each.message for each in self.events if each.kind is kind]


Play = Callable[..., Outcome]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a whole trial of `fair` with pauses and windows of no length."""
    monkeypatch.setattr(trials_module, "EXCUSED_PAUSE_S", 0.01)
    usual = TrialSettings().model_copy(
        update={"window_s": 0.05, "settle_s": 0.0, "max_windows": 8, "samples_min": 1}
    )

    def to_end(
        kernel: Kernel, signals: Signals, text: str = "latency p99", least: int = 1
    ) -> Outcome:
        settings = usual.model_copy(update={"samples_min": least})
        events: list[Event] = []

        async def whole() -> tuple[Trial, ExitReason | None]:
            ended: asyncio.Future[tuple[Trial, ExitReason | None]] = (
                asyncio.get_running_loop().create_future()
            )

            async def on_end(trial: Trial, gone: ExitReason | None) -> None:
                ended.set_result((trial, gone))

            trials = Trials(
                loader=kernel,  # type: ignore[arg-type]
                watch=signals,  # type: ignore[arg-type]
                publish=EventLog(events.append).append,
                on_end=on_end,
            )
            candidate = Candid("c-fair1", "fair", EntryKind.BPF, {}, proof=Proof(()))
            request = TrialRequest(candidate="c-fair1", workload=SERVICE)
            objective = parse_objective(text)
            trials.begin(trials.propose(request, candidate, objective, settings))
            return await ended

        trial, gone = asyncio.run(whole())
        return Outcome(trial, gone, events, kernel)

    return to_end


def test_an_ejection_that_is_not_its_doing_is_followed_by_another_try(
    play: Play,
) -> None:
    """The trial goes on, and says why the ejection does not count against the scheduler."""
    outcome = play(Kernel([EXCUSED]), Signals())
    assert outcome.trial.verdict is not None
    assert outcome.gone is None
    assert len(outcome.told(EventKind.EJECTED)) == 1
    assert "it is not blamed" in outcome.told(EventKind.EJECTED)[0]


def test_what_is_thrown_out_again_and_again_could_not_be_measured(
    play: Play,
) -> None:
    """After some attempts the trial ends without a verdict, and without blame for a scheduler."""
    outcome = play(Kernel([EXCUSED] * 10), Signals())
    assert outcome.trial.state is TrialState.UNMEASURED
    assert outcome.trial.verdict is None
    assert outcome.trial.lost is None
    assert outcome.gone is None
    assert EXCUSED in outcome.trial.reason
    assert outcome.kernel.loads == 1 + trials_module.MOST_EXCUSED


def test_an_ejection_that_is_its_doing_ends_the_trial_at_once(
    play: Play,
) -> None:
    """The trial fails after one load."""
    outcome = play(Kernel([ITS_OWN]), Signals())
    assert outcome.trial.state is TrialState.FAILED
    assert outcome.gone is not None
    assert outcome.kernel.loads == 1


def test_a_trial_whose_windows_the_host_spoiled_could_not_be_measured(
    play: Play,
) -> None:
    """It ends, within bounds, and is no rollback for cause."""
    outcome = play(Kernel(), Signals(stolen=0.4))
    assert outcome.trial.state is TrialState.UNMEASURED
    assert "the host took 40%" in outcome.trial.reason
    assert outcome.trial.verdict is None
    assert len(outcome.trial.windows) == 16
    assert outcome.kernel.loaded is None


def test_a_window_goes_on_until_enough_requests_have_ended(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that follow last as long, and the trial comes to its verdict."""
    monkeypatch.setattr(trials_module, "WINDOW_PATIENCE", 1000.0)
    outcome = play(Kernel(), Signals(ended=4, interval_s=0.001), "response p99", 50)
    assert outcome.trial.verdict is not None
    baseline = [each for each in outcome.trial.windows if each.arm is Arm.BASELINE]
    assert all(each.samples >= 30 and not each.excluded for each in baseline)
    assert outcome.trial.settings.window_s > outcome.trial.asked_s


def test_what_ends_too_seldom_cannot_be_measured_in_this_time(play: Play) -> None:
    """The trial says so after one window of the baseline, with the needed length; nothing was
    loaded."""
    outcome = play(Kernel(), Signals(ended=0), "response p99", 50)
    assert outcome.trial.state is TrialState.UNMEASURED
    assert "cannot be measured in this time" in outcome.trial.reason
    assert "window_s" in outcome.trial.reason
    assert len(outcome.trial.windows) == 1
    assert outcome.kernel.loads == 0
