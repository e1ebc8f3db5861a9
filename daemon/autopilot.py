# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's own decisions: judge each interval, open episodes, guard the kept scheduler.

The judgement is `daemon.decide.interval`, which is pure; here it meets the kernel. Nothing new is
loaded from here: advisors and operators request that. This only unloads schedulers, and goes back
to what was kept before.
"""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from daemon.api.models import (
    Decision,
    Degradation,
    EventKind,
    ProfileView,
    TrialState,
)
from daemon.config import Config
from daemon.decide import backoff, detect, interval
from daemon.decide.blame import excuse
from daemon.decide.criteria import criteria_of
from daemon.decide.detect import DetectState, Recovery
from daemon.decide.guard import Kept, kept_of
from daemon.decide.interval import IntervalFacts, IntervalState
from daemon.decide.observation import Observation
from daemon.decide.power import RegimeMemory
from daemon.gates.candidates import Candidate, Publish
from daemon.gates.telling import stopped_reason
from daemon.lifecycle.attachment import ExitReason, Loadable, thrown_out
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.lifecycle.keeping import Keeping
from daemon.lifecycle.loader import Loaded, SchedulerLoader
from daemon.lifecycle.trials import Trial, Trials
from daemon.memory.history_writer import HistoryWriter
from daemon.signals.watch import Watch
from process import Fault

# A scheduler that asks to be reloaded is reloaded, at most this many times within this time, after
# a pause that grows each time, because several CPUs may come and go in a row; seconds.
MOST_RESTARTS = 6
RESTARTS_WITHIN_S = 300.0
RESTART_PAUSE_S = 0.1


@dataclass(frozen=True)
class Pause:
    """No episode about one workload before this time; the pause grows with each episode without
    result.
    """

    times: int
    until: float


class Autopilot:
    """Connected to everything, owns little: the result of the last intervals, and pauses."""

    def __init__(
        self,
        *,
        config: Config,
        loader: SchedulerLoader,
        watch: Watch,
        trials: Trials,
        episodes: Episodes,
        backoff_store: BackoffStore,
        history_writer: HistoryWriter,
        keeping: Keeping,
        publish: Publish,
        profile: Callable[[str], ProfileView],
    ) -> None:
        self._config = config
        self._loader = loader
        self._watch = watch
        self._trials = trials
        self._episodes = episodes
        self._backoff_store = backoff_store
        self._history_writer = history_writer
        self._keeping = keeping
        self._publish = publish
        self._profile = profile
        self._foreign = ""
        self._advice_only = False
        self._changed_at = 0.0
        self._pauses: dict[str, Pause] = {}
        self._settings = config.judged_by
        self._state = IntervalState()
        # What ran before the kept scheduler.
        self._previous: Loadable | None = None
        self._restarts: list[float] = []
        # Baselines under other power regimes.
        self._regimes = RegimeMemory()

    @property
    def detection(self) -> DetectState:
        """The knowledge about every workload from all intervals so far."""
        return self._state.detection

    # ------------------------------------------------------------ each interval

    async def observe(self, observation: Observation) -> None:
        """Judge one interval."""
        self._look_for_foreign()
        self._look_at_standing(observation.at)
        self._episodes.close_abandoned(
            time.time(), self._config.advisor.patience_s, self._trials.running is not None
        )
        self._state, decisions = interval.step(
            self._state, observation, self._facts(observation), self._settings
        )
        for each in decisions.happened:
            self._tell(each)
        if decisions.rollback is not None:
            await self.roll_back(decisions.rollback.reason, workload=decisions.rollback.workload)
        if decisions.judged:
            self._open_episode(observation.at)

    def _facts(self, observation: Observation) -> IntervalFacts:
        loaded = self._loader.loaded
        return IntervalFacts(
            regime=loaded.what.candidate if loaded else detect.KERNEL_DEFAULT,
            changed_at=self._changed_at,
            in_trial=self._trials.running is not None,
            measurements=self._watch.measurements(
                self._state.measured(self._settings), observation.began
            ),
        )

    def judges(self, workload: str) -> bool:
        """Whether it is known well enough for an episode about it."""
        baseline = self.detection.baseline(workload, detect.KERNEL_DEFAULT)
        return baseline is not None and baseline.count >= self._config.detect.baseline_min

    def _look_for_foreign(self) -> None:
        foreign = self._loader.foreign()
        if foreign != self._foreign:
            self._foreign = foreign
            if foreign:
                self._publish(
                    EventKind.FOREIGN,
                    f"a scheduler that schedpilot did not load is in the kernel: {foreign}; "
                    "it is left alone, and nothing is tried while it runs",
                    scheduler=foreign,
                    reason="foreign scheduler",
                )

    def _look_at_standing(self, now: float) -> None:
        limited = self._backoff_store.state.advice_only(now)
        if (limited is not None) != self._advice_only:
            self._advice_only = limited is not None
            self._publish(
                EventKind.ADVICE_ONLY,
                f"advice only from now on: {limited.reason}"
                if limited
                else "trials may be started again",
                reason=limited.reason if limited else "",
            )

    def _tell(self, what: Degradation | Recovery) -> None:
        if isinstance(what, Recovery):
            self._pauses.pop(what.workload, None)
            self._publish(
                EventKind.RECOVERED,
                f"{what.workload}: {what.signal} recovered: {what.reason}",
                workload=what.workload,
                reason=what.reason,
            )
            return
        self._publish(
            EventKind.DEGRADATION,
            f"{what.workload}: {what.reason}",
            workload=what.workload,
            reason=what.reason,
            figures={"baseline": what.baseline, "value": what.value, "ratio": what.ratio},
        )

    def _open_episode(self, now: float) -> None:
        """Open an episode about the first degradation that may have one now."""
        if self._episodes.open is not None or self._foreign or self._loader.loaded is not None:
            # The guard watches a loaded scheduler; a second opinion waits until it is gone.
            return
        if not self._loader.kernel().supported:
            return
        if self._backoff_store.state.cooldown(now, self._backoff_store.limits) is not None:
            return
        for degradation in self.detection.degraded():
            pause = self._pauses.get(degradation.workload)
            if pause is None or now >= pause.until:
                profile = self._profile(degradation.workload)
                self._episodes.begin(
                    degradation,
                    profile,
                    criteria_of(
                        degradation.workload,
                        declared=self._config.declared,
                        broken=degradation.objective,
                        profile=profile,
                    ),
                )
                return

    def episode_closed(self, workload: str, kept: bool) -> None:
        """An episode is over; the next about the same workload waits longer each time."""
        if kept:
            self._pauses.pop(workload, None)
            return
        times = self._pauses[workload].times + 1 if workload in self._pauses else 1
        limits = self._config.limits
        span = min(limits.cooldown_s * 2.0 ** min(times, 30), limits.cooldown_max_s)
        self._pauses[workload] = Pause(times, time.time() + span)

    # ------------------------------------------------------------ trials and their end

    async def trial_ended(self, trial: Trial, gone: ExitReason | None) -> None:
        """A trial is over and has restored the kernel's state; act on the result."""
        now = time.time()
        self._changed_at = now
        limits = self._backoff_store.limits
        state = self._backoff_store.state
        lost = trial.lost
        if gone is not None and lost is not None and gone.by_kernel and not gone.restart:
            state = backoff.ejected(state, lost.candidate, lost.name, gone.reason, now, limits)
        elif trial.request.fed_by_client:
            pass
        elif trial.state is TrialState.UNMEASURED:
            state = backoff.unmeasured(
                state, trial.candidate.id, trial.candidate.name, trial.reason, now, limits
            )
        elif trial.state is TrialState.KEPT:
            state = backoff.kept(state, now, limits)
        else:
            state = backoff.failed(state, trial.reason, now, limits)
        self._backoff_store.become(state)
        if trial.state is TrialState.KEPT:
            kept = kept_of(
                trial.candidate.id,
                trial.workload,
                trial.objective,
                now,
                trial.windows,
                trial.guards,
                trial.usual_over_quota,
            )
            self._state = self._state.keeping(kept)
            self._previous = trial.before.what if trial.before else None
            self._keeping.kept(trial, kept)
        else:
            if trial.before is None:
                self._keep_nothing()
            self._keeping.trial_lost(trial)
            baseline_lost = trial.lost is not None and trial.lost.candidate != trial.candidate.id
            if baseline_lost or (trial.before is not None and self._loader.loaded is None):
                self._keeping.ended(trial.reason)
        self._say_verdict(trial, gone)
        episode = self._episodes.get(trial.request.episode or "")
        self._episodes.note_trial(episode, trial.view())
        self._history_writer.trial_ended(trial.view(), is_evidence=trial.is_evidence)
        if episode.by_hand:
            self._episodes.end_by_hand(episode, f"{trial.state.value}: {trial.reason}")

    def _say_verdict(self, trial: Trial, gone: ExitReason | None) -> None:
        names = {
            "trial": trial.id,
            "episode": trial.request.episode or "",
            "candidate": trial.candidate.id,
            "scheduler": trial.candidate.name,
            "workload": trial.workload,
            "reason": trial.reason,
        }
        verdict = trial.verdict
        if verdict is not None:
            self._publish(
                EventKind.VERDICT,
                f"verdict on {trial.candidate.name}: {verdict.decision.value}: {verdict.reason}",
                figures={"ratio": verdict.ratio, "low": verdict.low, "high": verdict.high},
                **names,
            )
        if gone is not None and trial.lost is not None:
            self._say_ejected(trial.lost.name, trial.lost.candidate, gone)
        now_runs = self._now_runs()
        if trial.state is TrialState.KEPT:
            self._publish(
                EventKind.KEPT, f"{trial.candidate.name} is kept: {trial.reason}", **names
            )
        elif trial.state is TrialState.UNMEASURED:
            self._publish(
                EventKind.UNMEASURED,
                f"{trial.candidate.name} {trial.reason}; {now_runs} runs",
                **names,
            )
        elif verdict is None or verdict.decision is Decision.ROLLBACK:
            self._publish(
                EventKind.ROLLBACK,
                f"{trial.candidate.name} was rolled back, {now_runs} runs: {trial.reason}",
                **names,
            )

    def _now_runs(self) -> str:
        return self._loader.loaded.what.name if self._loader.loaded else "the kernel default"

    def _say_ejected(self, name: str, candidate: str, gone: ExitReason) -> None:
        self._publish(
            EventKind.EJECTED,
            f"{name} left the kernel: {gone.reason}",
            candidate=candidate,
            scheduler=name,
            reason=gone.reason,
        )
        held = self._backoff_store.state.quarantine_of(candidate, time.time())
        if held is not None:
            self._publish(
                EventKind.QUARANTINED,
                f"{name} ({candidate}) is in quarantine: {held.reason}",
                candidate=candidate,
                scheduler=name,
                reason=held.reason,
            )

    async def gone(self, loaded: Loaded, gone: ExitReason) -> None:
        """One of our schedulers left the kernel without our request."""
        self._changed_at = time.time()
        if self._trials.notice_gone(loaded.what, gone):
            return
        name, id = loaded.what.name, loaded.what.candidate
        excused = excuse(gone.reason, self._changed_at - loaded.since) if gone.by_kernel else ""
        if excused:
            gone = replace(gone, reason=f"{gone.reason} ({excused})")
        if gone.restart or excused:
            failed = await self._load_afresh(loaded, gone)
            if failed is None:
                return
            gone = failed
        if self._state.kept is not None and self._state.kept.candidate == id:
            self._keep_nothing()
        if loaded.why == "kept":
            self._keeping.ended(gone.reason)
        if gone.by_kernel:
            self.quarantine(id, name, gone.reason)
        self._say_ejected(name, id, gone)
        self._publish(
            EventKind.ROLLBACK,
            f"{name} is gone, {self._now_runs()} runs: {gone.reason}",
            candidate=id,
            scheduler=name,
            reason=gone.reason,
        )

    async def _load_afresh(self, loaded: Loaded, gone: ExitReason) -> ExitReason | None:
        """The CPUs changed under it: the kernel asks for a restart, not for a verdict.

        Returns None if it runs again or something else does, else why it is gone for good. Each
        restart waits longer, and a scheduler that asks too often is not restarted.
        """
        now = time.time()
        self._restarts = [at for at in self._restarts if now - at < RESTARTS_WITHIN_S]
        times = len(self._restarts)
        if times >= MOST_RESTARTS:
            return ExitReason(
                f"it asked to be reloaded more than {MOST_RESTARTS} times within "
                f"{RESTARTS_WITHIN_S:g} s, the last time: {gone.reason}",
                by_kernel=True,
            )
        self._restarts.append(now)
        await asyncio.sleep(RESTART_PAUSE_S * (2**times - 1))
        if self._loader.loaded is not None or self._trials.running is not None:
            return None
        try:
            await self._loader.load(loaded.what, loaded.why)
        except Fault as fault:
            return ExitReason(f"{gone.reason}; reloading it failed: {fault}", by_kernel=True)
        self._changed_at = time.time()
        self._publish(
            EventKind.LOADED,
            f"{loaded.what.name} was reloaded: {gone.reason}",
            candidate=loaded.what.candidate,
            scheduler=loaded.what.name,
            reason=gone.reason,
        )
        return None

    async def hold_failed(self, candidate: Candidate, fault: Fault, before: Loaded | None) -> None:
        """The operator's scheduler was not loaded; the previous one runs again."""
        if thrown_out(candidate.loadable(), fault) and not excuse(str(fault), math.inf):
            self.quarantine(candidate.id, candidate.name, str(fault))
            self._say_ejected(candidate.name, candidate.id, ExitReason(str(fault), by_kernel=True))
        self._changed_at = time.time()
        if before is None or self._loader.loaded is not None:
            return
        try:
            await self._loader.load(before.what, before.why)
        except Fault as trouble:
            self.changed()
            self._publish(
                EventKind.ROLLBACK,
                f"{before.what.name} could not be put back, the kernel default runs: {trouble}",
                candidate=before.what.candidate,
                scheduler=before.what.name,
                reason=str(trouble),
            )

    def gates_met(self, candidate: Candidate) -> None:
        """A gate's refusal applies to exactly this candidate; a later pass lifts it."""
        now = time.time()
        state = self._backoff_store.state
        stopped = candidate.proof.stopped_by
        if stopped is None:
            changed = backoff.passed(state, candidate.id)
        elif stopped.skipped:
            # A gate that could not be run says nothing against it.
            changed = state
        else:
            reason = stopped_reason(candidate.proof)
            changed = backoff.refused(
                state, candidate.id, candidate.name, reason, now, self._backoff_store.limits
            )
        if changed is not state:
            self._backoff_store.become(changed)

    def quarantine(self, candidate: str, name: str, reason: str) -> None:
        """Note that the kernel refused this candidate."""
        self._backoff_store.become(
            backoff.ejected(
                self._backoff_store.state,
                candidate,
                name,
                reason,
                time.time(),
                self._backoff_store.limits,
            )
        )

    # ------------------------------------------------------------ rolling back

    async def roll_back(self, reason: str, workload: str = "") -> None:
        """Go back to what ran before the current scheduler: the scheduler kept before it, or the
        default.
        """
        loaded = self._loader.loaded
        if loaded is None:
            return
        previous = self._previous
        self._keep_nothing()
        self._keeping.rolled_back(back=previous is not None)
        if previous is not None:
            try:
                await self._loader.load(previous, "kept")
            except Fault as fault:
                previous = None
                self._keeping.rolled_back(back=False)
                reason += f" (what ran before could not be loaded: {fault})"
        if previous is None:
            await self._loader.unload()
        self._changed_at = time.time()
        self._backoff_store.become(
            backoff.failed(
                self._backoff_store.state, reason, self._changed_at, self._backoff_store.limits
            )
        )
        self._publish(
            EventKind.ROLLBACK,
            f"{loaded.what.name} was rolled back, "
            f"{previous.name if previous else 'the kernel default'} runs: {reason}",
            candidate=loaded.what.candidate,
            scheduler=loaded.what.name,
            workload=workload,
            reason=reason,
        )

    async def power_changed(self, before: str, regime: str) -> None:
        """Another power regime: with its own baselines, and what is kept for it.

        What a person holds stays, and a trial across the change says nothing.
        """
        said = f"the power regime is {regime or 'unknown'}, before it was {before or 'unknown'}"
        await self._trials.end(f"could not be measured: {said}", unmeasured=True)
        loaded = self._loader.loaded
        ours = loaded is not None and loaded.why == "kept"
        stays = self._keeping.power_changed(regime, loaded.what.candidate if loaded else "")
        self._regimes, detection = self._regimes.switched(before, self._state.detection, regime)
        self._state = IntervalState(detection, stays)
        self._previous = None
        if ours and stays is None:
            await self._loader.unload()
            assert loaded is not None
            said += f"; {loaded.what.name} was kept for that, and was unloaded"
        self._changed_at = time.time()
        self._publish(
            EventKind.POWER, said, scheduler=loaded.what.name if loaded else "", reason=said
        )

    def changed(self) -> None:
        """Somebody changed the scheduler by hand: the kept one no longer runs."""
        self._changed_at = time.time()
        self._keep_nothing()
        self._keeping.ended("somebody changed the scheduler by hand")

    def resumed(self, kept: Kept) -> None:
        """What was kept earlier runs again: the guard watches it from now on."""
        self._changed_at = kept.since
        self._state = self._state.keeping(kept)
        self._previous = None

    def _keep_nothing(self) -> None:
        self._state = self._state.keeping(None)
        self._previous = None
