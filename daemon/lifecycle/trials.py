# SPDX-License-Identifier: GPL-2.0-or-later
"""Trials: baseline and candidate in turn, in windows, until there is a verdict.

Whatever ends a trial (a verdict, harm, an ejection, the operator, the daemon's own end), what ran
before it runs again, unless the candidate has earned to be kept. The pure functions of
`daemon.decide` decide; this carries out their decisions.
"""

import asyncio
import contextlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from daemon.api.models import (
    Arm,
    Decision,
    EventKind,
    PendingApproval,
    TrialRequest,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
)
from daemon.decide.blame import excuse
from daemon.decide.compared import guard_view
from daemon.decide.objective import Guard, Measurement, Objective, guarding
from daemon.decide.observation import Observation
from daemon.decide.quotas import exceeded
from daemon.decide.settings import TrialSettings
from daemon.decide.trial_judgement import (
    Judgement,
    after_window,
    over_quota,
    sleepers_after,
    while_running,
)
from daemon.decide.trial_states import TRIAL_LIFE, TrialChange
from daemon.decide.verdict import stopped
from daemon.decide.windows import Live, asleep, is_settled, live_of, next_arm, window_of
from daemon.decide.words import figure
from daemon.gates.candidates import Candidate, Publish
from daemon.lifecycle.attachment import ExitReason, Loadable, thrown_out
from daemon.lifecycle.loader import Loaded, SchedulerLoader
from daemon.signals.suspended import LEAST_S
from daemon.signals.watch import Watch
from process import Fault, FaultType, Limit
from simulator.objective_text import Metric

# How many trials are kept in memory; all are in the history.
MOST_TRIALS = 64
# Signals come this many times per window while a trial runs.
INTERVALS_A_WINDOW = 6
# How long a client that feeds windows may take for one of them, seconds.
CLIENT_WINDOW_S = 1800.0
# How much longer than its length a window may last until there is enough data; until processes, or
# a whole batch, have ended.
WINDOW_PATIENCE = 3.0
JOBS_PATIENCE = 8.0
# If a batch decides a trial, signals come at least this often, seconds: its ends are only as
# precise as that.
BATCH_INTERVAL_S = 0.5
# After an ejection that is not the scheduler's fault, the trial is tried again after a pause, this
# often in one trial.
MOST_EXCUSED = 2
EXCUSED_PAUSE_S = 5.0

Result = TypeVar("Result")


class Ejected(Exception):
    """A scheduler of the trial left the kernel, or (not `enabled`) never got in."""

    def __init__(
        self,
        what: Loadable,
        gone: ExitReason,
        *,
        ran_s: float,
        late_s: float = 0.0,
        enabled: bool = True,
    ) -> None:
        super().__init__(gone.reason)
        self.what = what
        self.gone = gone
        self.enabled = enabled
        # Why the scheduler is not blamed, if so.
        self.excuse = excuse(gone.reason, ran_s, late_s=late_s) if gone.by_kernel else ""


@dataclass
class Trial:
    """One trial, while it runs and afterwards; `view` is its public form."""

    id: str
    request: TrialRequest
    candidate: Candidate
    objective: Objective
    settings: TrialSettings
    before: Loaded | None
    at: float
    guards: tuple[Guard, ...] = ()
    # The other workloads whose response time is guarded, from the first window of the baseline.
    sleepers: frozenset[str] | None = None
    # The cgroups that exceed their quota under the baseline.
    usual_over_quota: frozenset[str] = frozenset()
    # The scheduler that left the kernel by itself and so ended the trial.
    lost: Loadable | None = None
    windows: list[WindowView] = field(default_factory=list)
    verdict: VerdictView | None = None
    # The verdict is a rollback because the candidate did harm.
    harmed: bool = False
    approval: str = ""
    reason: str = ""
    # Its end without a verdict, as soon as the scheduler that follows it runs.
    ending: TrialChange = TrialChange.ROLLED_BACK
    ended: float = 0.0
    arm: Arm | None = None
    fed: "asyncio.Queue[float]" = field(default_factory=lambda: asyncio.Queue(maxsize=1))
    # The requested length of a window before its need was known, seconds.
    asked_s: float = 0.0
    stop: "asyncio.Future[str] | None" = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _state: TrialState = field(init=False)

    def __post_init__(self) -> None:
        first = TrialChange.ASKED_OF_A_PERSON if self.approval else TrialChange.ASKED
        self._state = TRIAL_LIFE.begin(first)

    @property
    def state(self) -> TrialState:
        return self._state

    @property
    def is_evidence(self) -> bool:
        """Whether its verdict says something of the candidate: it was compared, or it did harm.

        A trial that somebody stopped before, or that the loss of a scheduler ended, has only the
        ratio of a window or two, which noise can make.
        """
        return self.harmed or (self.verdict is not None and self.verdict.confidence > 0)

    def change(self, change: TrialChange) -> None:
        """Raises NoSuchTransition for a change that is impossible in this state."""
        self._state = TRIAL_LIFE.after(self._state, change)

    def end(self, change: TrialChange, reason: str) -> None:
        """End a trial that never ran.

        Raises:
            NoSuchTransition: as `change`.
        """
        self.change(change)
        self.reason = reason
        self.ended = time.time()

    @property
    def workload(self) -> str:
        return self.request.workload or ""

    def view(self) -> TrialView:
        return TrialView(
            id=self.id,
            state=self.state,
            candidate=self.candidate.id,
            scheduler=self.candidate.name,
            policy=self.candidate.policy,
            parameters=self.candidate.parameters,
            workload=self.workload,
            objective=self.objective.title,
            direction=self.objective.direction,
            unit=self.objective.unit,
            episode=self.request.episode or "",
            at=self.at,
            ended=self.ended,
            approval=self.approval,
            guards=[guard_view(self.windows, each, self.settings) for each in self.guards],
            next_arm=self.arm if self.request.fed_by_client else None,
            windows=list(self.windows),
            verdict=self.verdict,
            reason=self.reason,
        )


class Trials:
    """Runs one trial at a time."""

    def __init__(
        self,
        *,
        loader: SchedulerLoader,
        watch: Watch,
        publish: Publish,
        on_end: Callable[[Trial, ExitReason | None], Awaitable[None]],
    ) -> None:
        self._loader = loader
        self._watch = watch
        self._publish = publish
        self._on_end = on_end
        self._known: OrderedDict[str, Trial] = OrderedDict()
        self._running: Trial | None = None
        self._task: asyncio.Task[None] | None = None
        self._ejected: asyncio.Future[tuple[Loadable, ExitReason]] | None = None
        # Since when the tried scheduler may have run, by the monotonic clock.
        self._enabled_at = 0.0

    @property
    def running(self) -> Trial | None:
        return self._running

    def get(self, id: str) -> Trial:
        """Raises Fault NOT_FOUND."""
        if id not in self._known:
            raise Fault(
                FaultType.NOT_FOUND,
                f"there is no trial {id!r}",
                hint="`schedpilot history` lists them; older ones are in their episodes",
            )
        return self._known[id]

    def refuse_if_busy(self) -> None:
        """Raises Fault BUSY while a trial is running."""
        if self._running is not None:
            raise Fault(
                FaultType.BUSY,
                "a trial is under way already",
                why=f"{self._running.id} tries {self._running.candidate.name}",
                hint="wait for its verdict, or end it: schedpilot rollback",
            )

    def propose(
        self,
        request: TrialRequest,
        candidate: Candidate,
        objective: Objective,
        settings: TrialSettings,
        *,
        guards: Sequence[Guard] = (),
        approval: str = "",
    ) -> Trial:
        """Register a trial; `begin` starts it. With `approval` it waits for a person."""
        trial = Trial(
            id=f"t-{secrets.token_hex(5)}",
            request=request,
            candidate=candidate,
            objective=objective,
            settings=settings,
            before=None,
            at=time.time(),
            guards=tuple(guards),
            asked_s=settings.window_s,
            approval=approval,
        )
        self._known[trial.id] = trial
        for id in list(self._known):
            if len(self._known) <= MOST_TRIALS:
                break
            if self._known[id] is not self._running:
                del self._known[id]
        return trial

    def waiting(self) -> list[PendingApproval]:
        """The trials that wait for a person, oldest first."""
        return [
            PendingApproval(
                id=trial.approval,
                trial=trial.id,
                candidate=trial.candidate.id,
                scheduler=trial.candidate.name,
                workload=trial.workload,
                objective=trial.objective.title,
                at=trial.at,
            )
            for trial in self._known.values()
            if trial.state is TrialState.AWAITING_APPROVAL
        ]

    def asked_before(self, request: TrialRequest) -> Trial | None:
        """The waiting trial of an identical earlier request."""
        for trial in self._known.values():
            # A request without an episode has got its own.
            episode = request.episode or trial.request.episode
            same = trial.request == request.model_copy(update={"episode": episode})
            if same and trial.state is TrialState.AWAITING_APPROVAL:
                return trial
        return None

    def by_approval(self, approval: str) -> Trial:
        """Raises Fault NOT_FOUND."""
        for trial in self._known.values():
            if trial.approval == approval and trial.state is TrialState.AWAITING_APPROVAL:
                return trial
        raise Fault(
            FaultType.NOT_FOUND,
            f"nothing waits for the approval {approval!r}",
            hint="`schedpilot status` shows what waits",
        )

    def decline(self, trial: Trial, reason: str) -> None:
        trial.end(TrialChange.DECLINED, reason or "declined by the operator")

    def begin(self, trial: Trial) -> None:
        """Start it in the background.

        Raises:
            Fault: BUSY, or FOREIGN_SCHEDULER.
        """
        self.refuse_if_busy()
        if self._loader.changing:
            raise Fault(
                FaultType.BUSY,
                "the trial was not started",
                why="another change of the scheduler is under way",
                hint="try again in a moment",
            )
        foreign = self._loader.foreign()
        if foreign:
            raise Fault(
                FaultType.FOREIGN_SCHEDULER,
                "the trial was not started",
                why=f"{foreign!r} is in the kernel and was not loaded by schedpilot",
                hint="stop the service or program that loaded it, then try again",
            )
        waited = trial.state is TrialState.AWAITING_APPROVAL
        trial.change(TrialChange.APPROVED if waited else TrialChange.STARTED)
        trial.before = self._loader.loaded
        trial.stop = asyncio.get_running_loop().create_future()
        self._running = trial
        self._task = asyncio.create_task(self._run(trial))

    async def end(self, reason: str, *, unmeasured: bool = False) -> bool:
        """Stop the running trial and wait until the previous scheduler is back.

        `unmeasured`: what was measured so far says nothing about the candidate.
        """
        trial, task = self._running, self._task
        if trial is None or task is None:
            return False
        if trial.stop is not None and not trial.stop.done():
            if unmeasured:
                trial.ending, trial.reason = TrialChange.UNMEASURED, reason
            trial.stop.set_result(reason)
        await asyncio.wait([task])
        return True

    def notice_gone(self, what: Loadable, gone: ExitReason) -> bool:
        """A scheduler of ours left the kernel by itself. True if a trial handles it."""
        if self._ejected is not None and not self._ejected.done():
            self._ejected.set_result((what, gone))
            return True
        return False

    async def feed(self, trial: Trial, value: float) -> None:
        """The value of a finished window of a client-fed trial; returns when the next is due.

        Raises:
            Fault: BAD_REQUEST if the trial does not wait for one.
        """
        if not trial.request.fed_by_client or trial.arm is None:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"trial {trial.id} does not wait for a window's value",
                why="it is over" if trial.ended else "the daemon measures its windows itself",
            )
        trial.changed.clear()
        trial.arm = None
        trial.fed.put_nowait(value)
        await trial.changed.wait()

    # ------------------------------------------------------------ the trial itself

    async def _run(self, trial: Trial) -> None:
        gone: ExitReason | None = None
        self._publish(
            EventKind.TRIAL_STARTED,
            f"trial of {trial.candidate.name} against "
            f"{trial.before.what.name if trial.before else 'the kernel default'} "
            f"on {trial.objective.title}{guarding(trial.guards)}",
            **self._names(trial),
        )
        try:
            if not trial.request.fed_by_client:
                fast = trial.settings.window_s / INTERVALS_A_WINDOW
                if trial.objective.has(Metric.MAKESPAN):
                    fast = min(fast, BATCH_INTERVAL_S)
                await self._watch.set_interval(min(self._watch.interval_s, max(0.25, fast)))
            await self._windows(trial)
        except Ejected as ejected:
            if ejected.excuse:
                # Reported already, and nobody is blamed.
                trial.ending = TrialChange.UNMEASURED
                trial.reason = f"could not be measured: {ejected.gone.reason} ({ejected.excuse})"
            else:
                gone = ejected.gone
                self._lose(trial, ejected)
        except Fault as fault:
            trial.ending = TrialChange.FAILED
            trial.reason = f"{fault}; {fault.hint}" if fault.hint else str(fault)
        finally:
            # From here on the trial no longer handles an ejection.
            self._ejected = None
            await asyncio.shield(self._settle_outcome(trial))
            with contextlib.suppress(Fault):
                await self._watch.usual_interval()
            trial.ended = time.time()
            trial.arm = None
            self._running = None
            trial.changed.set()
            await self._on_end(trial, gone)

    def _lose(self, trial: Trial, ejected: Ejected) -> None:
        """End the trial after the loss of one of its schedulers."""
        trial.lost = ejected.what
        reason = f"left the kernel: {ejected.gone.reason}"
        if ejected.what.candidate != trial.candidate.id:
            reason = f"what it was compared with, {ejected.what.name}, {reason}"
            if not ejected.gone.restart:
                # It is not restored: the kernel would refuse it.
                trial.before = None
        if ejected.enabled:
            trial.verdict = stopped(trial.windows, trial.objective, reason)
        else:
            trial.ending = TrialChange.FAILED
            trial.reason = ejected.gone.reason

    async def _settle_outcome(self, trial: Trial) -> None:
        """Keep the candidate, or restore what was there before."""
        keep = trial.verdict is not None and trial.verdict.decision is Decision.KEEP
        try:
            if keep and trial.request.keep:
                await self._switch(trial, Arm.CANDIDATE)
                self._loader.relabel("kept")
                trial.ending = TrialChange.KEPT
            else:
                await self._switch(trial, Arm.BASELINE)
                if trial.before is not None:
                    self._loader.relabel(trial.before.why)
        except (Fault, Ejected) as trouble:
            await self._loader.unload()
            trial.ending = TrialChange.FAILED
            trial.reason = f"after the verdict: {trouble}; the kernel's own scheduler runs"
        if trial.verdict is not None and not trial.reason:
            trial.reason = trial.verdict.reason
        trial.change(trial.ending)

    async def _windows(self, trial: Trial) -> None:
        excused = 0
        while trial.verdict is None:
            arm = next_arm(trial.windows, trial.settings)
            assert arm is not None, "the last window ends the trial"
            try:
                window = await self._window(trial, arm)
            except Ejected as ejected:
                if ejected.excuse:
                    self._say_excused(trial, ejected)
                    excused += 1
                if not ejected.excuse or excused > MOST_EXCUSED:
                    raise
                self._ejected = asyncio.get_running_loop().create_future()
                await self._first(trial, asyncio.sleep(EXCUSED_PAUSE_S), 2 * EXCUSED_PAUSE_S)
                continue
            if window is None:
                return
            trial.windows.append(window)
            self._publish(
                EventKind.WINDOW,
                f"window {len(trial.windows)} ({arm.value}): "
                + (
                    window.excluded
                    or f"{trial.objective.leading.title} "
                    + figure(window.value, trial.objective.unit)
                ),
                figures={"value": window.value, "samples": float(window.samples)},
                **self._names(trial),
            )
            judgement = after_window(trial.windows, trial.objective, trial.settings, trial.guards)
            if self._ended_by(trial, judgement):
                return

    async def _window(self, trial: Trial, arm: Arm) -> WindowView | None:
        """One window of this arm; None if it was cut short, and the trial has its verdict.

        Raises:
            Ejected: the measured scheduler left the kernel, or never got in.
        """
        self._ejected = asyncio.get_running_loop().create_future()
        await self._switch(trial, arm)
        if trial.request.fed_by_client:
            return await self._fed_window(trial, arm)
        return await self._measured_window(trial, arm)

    def _over_quota(self, trial: Trial, measured: Sequence[Observation]) -> Judgement:
        return over_quota(trial.windows, measured, trial.objective, trial.usual_over_quota)

    def _ended_by(self, trial: Trial, judgement: Judgement) -> bool:
        """Whether this judgement ends the trial; it is noted in the trial."""
        if judgement.unmeasured:
            trial.ending, trial.reason = TrialChange.UNMEASURED, judgement.unmeasured
        elif judgement.verdict is not None:
            trial.verdict, trial.harmed = judgement.verdict, judgement.harmed
        return judgement.over

    def _say_excused(self, trial: Trial, ejected: Ejected) -> None:
        names = {**self._names(trial), "candidate": ejected.what.candidate}
        self._publish(
            EventKind.EJECTED,
            f"{ejected.what.name} left the kernel: {ejected.gone.reason}; it is not blamed: "
            f"{ejected.excuse}",
            **{**names, "scheduler": ejected.what.name},
        )

    async def _switch(self, trial: Trial, arm: Arm) -> None:
        """Load this arm's scheduler."""
        want = (
            trial.candidate.loadable()
            if arm is Arm.CANDIDATE
            else (trial.before.what if trial.before else None)
        )
        now = self._loader.loaded
        if want is None:
            await self._loader.unload()
        elif now is None or now.what.candidate != want.candidate:
            # Before it is loaded, because it may make the confirming process wait.
            self._enabled_at = time.monotonic()
            try:
                await self._loader.load(want, "trial")
            except Fault as fault:
                if not thrown_out(want, fault):
                    raise
                gone = ExitReason(str(fault), by_kernel=True, dump="\n".join(fault.details))
                ran_s = time.monotonic() - self._enabled_at
                raise Ejected(want, gone, ran_s=ran_s, enabled=False) from None

    async def _measured_window(self, trial: Trial, arm: Arm) -> WindowView | None:
        """Wait for one window. None: it was cut short, and the trial has its verdict."""
        started = time.time()
        observations: list[Observation] = []
        # Those after the change of the scheduler.
        measured: list[Observation] = []
        lives: list[Live] = []
        settings = trial.settings
        jobs = trial.objective.has(Metric.TURNAROUND, Metric.MAKESPAN)
        patience = JOBS_PATIENCE if jobs else WINDOW_PATIENCE
        # Relative to the requested length: a longer window does not justify a still longer one.
        deadline = started + settings.settle_s + patience * trial.asked_s
        with self._watch.subscribed() as queue:
            while True:
                observation = await self._next(trial, queue)
                if observation is None:
                    return None
                observations.append(observation)
                if is_settled(observation, started, settings):
                    measured.append(observation)
                if arm is Arm.CANDIDATE and measured:
                    lives.append(
                        live_of(trial.objective, trial.workload, observation, started, settings)
                    )
                    judgement = while_running(
                        trial.windows, lives, trial.objective, settings, trial.guards
                    )
                    if not judgement.over:
                        judgement = self._over_quota(trial, measured)
                    if self._ended_by(trial, judgement):
                        return None
                if observation.at < started + settings.settle_s + settings.window_s:
                    continue
                window = window_of(
                    arm,
                    started,
                    observation.at,
                    trial.objective,
                    trial.workload,
                    observations,
                    settings,
                    self._measurements(trial, started),
                    trial.windows,
                    trial.guards,
                    trial.sleepers,
                )
                if arm is Arm.BASELINE:
                    trial.usual_over_quota |= {each.group for each in exceeded(measured)}
                trial.sleepers = sleepers_after(
                    trial.sleepers, window, trial.workload, observations
                )
                if not window.excluded:
                    self._as_long(trial, window)
                    return window
                if window.disturbed or time.time() > deadline:
                    return window

    def _as_long(self, trial: Trial, window: WindowView) -> None:
        """The following windows are as long as the first of the baseline had to be."""
        if window.arm is not Arm.BASELINE:
            return
        lasted = window.ended - window.started - trial.settings.settle_s
        if lasted > trial.settings.window_s + 2 * self._watch.interval_s:
            trial.settings = trial.settings.model_copy(update={"window_s": lasted})

    def _measurements(self, trial: Trial, since: float) -> list[Measurement]:
        names = trial.objective.measured | {each.term.name for each in trial.guards}
        return self._watch.measurements(names - {""}, since)

    async def _fed_window(self, trial: Trial, arm: Arm) -> WindowView | None:
        started, slept = time.time(), self._watch.suspended.total()
        trial.arm = arm
        trial.changed.set()
        with self._watch.subscribed() as queue:
            value = await self._first(trial, trial.fed.get(), CLIENT_WINDOW_S)
            seen = [queue.get_nowait() for _ in range(queue.qsize())]
        if value is None:
            return None
        measured = [each for each in seen if is_settled(each, started, trial.settings)]
        if arm is Arm.BASELINE:
            trial.usual_over_quota |= {each.group for each in exceeded(measured)}
        elif self._ended_by(trial, self._over_quota(trial, measured)):
            return None
        suspended_s = self._watch.suspended.total() - slept
        spoiled = asleep(suspended_s if suspended_s >= LEAST_S else 0.0)
        return WindowView(
            arm=arm,
            started=started,
            ended=time.time(),
            value=value,
            samples=1,
            excluded=spoiled,
            disturbed=bool(spoiled),
        )

    async def _next(self, trial: Trial, queue: "asyncio.Queue[Observation]") -> Observation | None:
        patience = 10 * max(self._watch.interval_s, 1.0)
        return await self._first(trial, queue.get(), patience)

    async def _first(
        self, trial: Trial, what: Awaitable[Result], patience_s: float
    ) -> Result | None:
        """`what`, unless the trial is stopped (None, with its end noted) or its scheduler leaves.

        Raises:
            Ejected: a scheduler of the trial left the kernel.
            Fault: TIMEOUT.
        """
        assert trial.stop is not None
        assert self._ejected is not None
        waited = asyncio.ensure_future(what)
        limit = Limit(patience_s)
        left = limit.left()
        try:
            while left:
                done, _ = await asyncio.wait(
                    (waited, trial.stop, self._ejected),
                    timeout=left,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done:
                    break
                left = await asyncio.to_thread(limit.left)
            if self._ejected.done():
                lost, gone = self._ejected.result()
                usual_late_s = max(
                    (each.late_s for each in trial.windows if each.arm is Arm.BASELINE), default=0.0
                )
                ran_s = time.monotonic() - self._enabled_at
                raise Ejected(lost, gone, ran_s=ran_s, late_s=usual_late_s)
            if trial.stop.done():
                if trial.ending is TrialChange.UNMEASURED:
                    return None
                trial.verdict = stopped(trial.windows, trial.objective, trial.stop.result())
                return None
            if waited.done():
                return waited.result()
            raise Fault(
                FaultType.TIMEOUT,
                f"trial {trial.id} had no data for {limit.words()}",
                why="the client does not feed its windows"
                if trial.request.fed_by_client
                else "the signals program is silent",
            )
        finally:
            waited.cancel()

    def _names(self, trial: Trial) -> dict[str, str]:
        return {
            "trial": trial.id,
            "candidate": trial.candidate.id,
            "scheduler": trial.candidate.name,
            "workload": trial.workload,
            "episode": trial.request.episode or "",
        }
