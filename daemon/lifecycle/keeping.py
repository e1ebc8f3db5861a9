# SPDX-License-Identifier: GPL-2.0-or-later
"""What was kept, across restarts of the daemon and of the machine.

`daemon.decide.keep` decides what becomes of it; this reads the facts, and carries the decision out.
The store is written before the kernel is asked for anything, so that a daemon that is killed in
between is not mistaken about what it may put back.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from daemon.api.models import (
    Autonomy,
    EventKind,
    KeptView,
    KeptViewState,
    TrialRequest,
    TrialState,
    TrialView,
)
from daemon.decide.guard import Kept
from daemon.decide.keep import (
    AfterReboot,
    KeptAction,
    KeptDecision,
    KeptFacts,
    KeptProof,
    decide,
    restore_pause,
)
from daemon.decide.kept_record import Boot, KeptRecord, KeptState, record_of
from daemon.decide.observation import Observation
from daemon.gates.candidates import Candidate, Candidates, Publish
from daemon.gates.telling import stopped_reason
from daemon.lifecycle.attachment import thrown_out
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.loader import SchedulerLoader
from daemon.lifecycle.state_file import StateFile
from daemon.lifecycle.trials import Trial, Trials
from process import Fault, FaultType

_log = logging.getLogger("schedpilotd.keeping")
FILE = "kept.json"
# A proof that could not be made is tried again after this time, seconds.
PROVE_AGAIN_S = 60.0
# How often the trial of a kept scheduler may end without a measurement before it is given up.
MOST_UNMEASURED = 3
# Faults that say something about the candidate itself; all others only hinder the gates.
_REFUSALS = frozenset(
    {
        FaultType.BAD_MANIFEST,
        FaultType.BAD_NAME,
        FaultType.BAD_PARAMETER,
        FaultType.BAD_POLICY,
        FaultType.BAD_REQUEST,
        FaultType.NOT_INSTALLED,
        FaultType.UNKNOWN_SCHEDULER,
    }
)


class Keeping:
    """Stores what is kept, and brings it back.

    Args:
        folder: the state folder.
        baseline_min: in how many intervals a workload has to be seen before a trial.
        start_trial: as for a client.
        resumed: called with what runs again, for the guard.
        gates_met, quarantined: called with the outcome of a proof, and when the kernel refuses it.
    """

    def __init__(
        self,
        *,
        folder: Path,
        after_reboot: AfterReboot,
        autonomy: Autonomy,
        baseline_min: int,
        loader: SchedulerLoader,
        trials: Trials,
        candidates: Candidates,
        backoff_store: BackoffStore,
        start_trial: Callable[[TrialRequest], Awaitable[TrialView]],
        resumed: Callable[[Kept], None],
        gates_met: Callable[[Candidate], None],
        quarantined: Callable[[str, str, str], None],
        publish: Publish,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._file = StateFile(folder / FILE, KeptState(), on_trouble)
        self._after_reboot = after_reboot
        self._autonomy = autonomy
        self._baseline_min = baseline_min
        self._loader = loader
        self._trials = trials
        self._candidates = candidates
        self._backoff_store = backoff_store
        self._start_trial = start_trial
        self._resumed = resumed
        self._gates_met = gates_met
        self._quarantined = quarantined
        self._publish = publish
        self._on_trouble = on_trouble
        self._boot = Boot()
        self._regime = ""
        # The record of this regime waits for a decision.
        self._pending = False
        self._decision: KeptDecision | None = None
        self._candidate: Candidate | None = None
        self._proof: KeptProof | None = None
        self._proved_at = 0.0
        # Its trial, if that decides; and how often one could not be measured.
        self._trial = ""
        self._unmeasured = 0
        # In how many intervals its workload was seen under the kernel's own scheduler.
        self._seen = 0
        self._stopping = False
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()

    # ------------------------------------------------------------ bringing it back

    def start(self, boot: Boot, regime: str = "") -> None:
        """The daemon has started, in this run of the machine and under this power regime."""
        self._boot, self._regime = boot, regime
        started = self._file.state.started(boot)
        if started != self._file.state:
            self._file.become(started)
        self._await_decision()

    async def run(self) -> None:
        """Decide, now and whenever something may have changed; for ever."""
        while True:
            try:
                await self.look()
            except Exception:  # noqa: BLE001 - logged with its traceback
                # A defect here must not end it: what is kept would never come back.
                _log.exception("a defect while bringing back what was kept")
            await self._wake.wait()
            self._wake.clear()

    def power_changed(self, regime: str, loaded: str) -> Kept | None:
        """Another power regime: what is kept for it waits for a decision.

        Returns it, for the guard, if it is what is loaded (the id of a candidate): then it stays.
        """
        self._regime = regime
        self._file.become(self._file.state.stopped())
        self._await_decision()
        record = self._record
        if record is None or record.candidate != loaded or record.boot != self._boot:
            return None
        try:
            kept = record.kept(time.time())
        except Fault:
            return None
        self._settled()
        self._file.become(self._file.state.tried(regime, self._boot))
        return kept

    def observe(self, observation: Observation) -> None:
        """An interval has gone by."""
        record = self._record
        if record is None:
            return
        if self._loader.loaded is None and self._trials.running is None:
            seen = not record.workload or record.workload in observation.workloads
            self._seen += seen
        self._wake.set()

    async def look(self) -> None:
        """Decide what becomes of what was kept, and do it."""
        async with self._lock:
            self._look_at_trial()
            while self._pending and await self._step():
                pass

    @property
    def _record(self) -> KeptRecord | None:
        return self._file.state.of(self._regime)

    def _await_decision(self) -> None:
        self._pending = self._record is not None
        self._decision = self._candidate = self._proof = None
        self._trial, self._unmeasured, self._seen = "", 0, 0
        self._wake.set()

    def _settled(self) -> None:
        self._pending = False
        self._decision = None

    async def _step(self) -> bool:
        """One decision. Returns whether another follows from it at once."""
        record = self._record
        if record is None:
            self._settled()
            return False
        decision = decide(self._facts(record), self._after_reboot)
        match decision.action:
            case KeptAction.WAIT:
                self._tell_once(record, decision)
            case KeptAction.FORGET:
                self._give_up(record, decision.reason)
            case KeptAction.PROVE:
                await self._prove(record)
                return True
            case KeptAction.PUT_BACK:
                await self._put_back(record, decision.reason)
            case KeptAction.TRIAL:
                await self._try(record, decision)
        return False

    def _facts(self, record: KeptRecord) -> KeptFacts:
        now = time.time()
        backoff = self._backoff_store.state
        limits = self._backoff_store.limits
        loaded = self._loader.loaded
        busy = "another change of the scheduler is under way" if self._loader.changing else ""
        if self._trials.running is not None:
            busy = f"trial {self._trials.running.id} is under way"
        if self._proof and self._proof.hindered and now - self._proved_at >= PROVE_AGAIN_S:
            self._proof = None
        made = self._candidate.id if self._candidate else record.candidate
        held = backoff.quarantine_of(record.candidate, now) or backoff.quarantine_of(made, now)
        return KeptFacts(
            same_boot=bool(self._boot.id) and record.boot.id == self._boot.id,
            same_kernel=record.boot.kernel == self._boot.kernel,
            crashes=record.crashes,
            by_hand=record.by_hand,
            supported=self._loader.kernel().supported,
            autonomy=self._autonomy,
            quarantined=held.reason if held else "",
            foreign=self._loader.foreign(),
            loaded=loaded.what.name if loaded else "",
            busy=busy,
            advice_only=backoff.advice_only(now),
            cooldown=backoff.cooldown(now, limits),
            pause=restore_pause(self._file.state.restored, now, limits),
            proof=self._proof,
            workload=record.workload,
            baseline=self._seen >= self._baseline_min,
        )

    async def _prove(self, record: KeptRecord) -> None:
        """Pass it through the gates; their caches answer where nothing has changed."""
        self._proved_at = time.time()
        regime = self._regime
        try:
            candidate = await self._candidates.prove_again(record.request)
            digest = await asyncio.to_thread(object_digest, candidate)
        except Fault as fault:
            if regime != self._regime:
                return
            refused = fault.type in _REFUSALS
            self._proof = (
                KeptProof(refused=str(fault)) if refused else KeptProof(hindered=str(fault))
            )
            return
        self._gates_met(candidate)
        if regime != self._regime:
            return  # another record waits now
        self._candidate = candidate
        stopped = candidate.proof.stopped_by
        reason = stopped_reason(candidate.proof) if stopped else ""
        same = candidate.id == record.candidate
        self._proof = KeptProof(
            refused="" if stopped is None or stopped.skipped else reason,
            hindered=reason if stopped is not None and stopped.skipped else "",
            same_candidate=same,
            same_object=same and digest == record.object_sha256,
        )

    async def _put_back(self, record: KeptRecord, reason: str) -> None:
        assert self._candidate is not None
        now = time.time()
        try:
            kept = record.kept(now)
        except Fault as fault:
            self._give_up(record, f"this version cannot read how it was judged: {fault}")
            return
        what, regime = self._candidate.loadable(), self._regime
        self._file.become(self._file.state.put_back(self._regime, self._boot, now))
        try:
            await self._loader.load(what, "kept")
        except Fault as fault:
            self._file.become(self._file.state.stopped())
            if thrown_out(what, fault):
                self._quarantined(what.candidate, what.name, str(fault))
                self._give_up(record, str(fault))
            else:
                self._tell_once(record, KeptDecision(KeptAction.WAIT, str(fault)))
            return
        loaded = self._loader.loaded
        if loaded is None or loaded.what.candidate != what.candidate:
            return  # somebody was faster, and has said so
        if regime != self._regime:
            await self._loader.unload()
            return
        self._settled()
        self._resumed(kept)
        self._publish(
            EventKind.PUT_BACK,
            f"{record.scheduler} was put back: {reason}",
            **self._names(record),
            reason=reason,
        )

    async def _try(self, record: KeptRecord, decision: KeptDecision) -> None:
        assert self._candidate is not None
        request = TrialRequest(
            candidate=self._candidate.id,
            workload=record.workload or None,
            objective=record.objective,
            guards=list(record.guards),
        )
        self._file.become(self._file.state.tried(self._regime, self._boot))
        try:
            view = await self._start_trial(request)
        except Fault as fault:
            self._file.become(self._file.state.stopped())
            self._tell_once(record, KeptDecision(KeptAction.WAIT, str(fault)))
            return
        self._trial = view.id
        self._settled()
        self._decision = decision
        waits = view.state is TrialState.AWAITING_APPROVAL
        what = "waits for a person to approve its trial" if waits else "has to win a fresh trial"
        self._publish(
            EventKind.NOT_PUT_BACK,
            f"{record.scheduler}, which was kept, {what}: {decision.reason}",
            **{**self._names(record), "trial": view.id},
            reason=decision.reason,
        )

    def _look_at_trial(self) -> None:
        """A person may have declined the trial that was to decide."""
        record = self._record
        if not self._trial or record is None:
            return
        try:
            trial = self._trials.get(self._trial)
        except Fault:
            trial = None
        if trial is None or trial.state in (TrialState.DECLINED, TrialState.FAILED):
            reason = trial.reason if trial else "its trial is no longer known"
            self._give_up(record, f"its trial never ran: {reason}")

    def _tell_once(self, record: KeptRecord, decision: KeptDecision) -> None:
        told = self._decision
        self._decision = decision
        if told is None or told.reason != decision.reason:
            self._publish(
                EventKind.NOT_PUT_BACK,
                f"{record.scheduler}, which was kept, is not put back yet: {decision.reason}",
                **self._names(record),
                reason=decision.reason,
            )

    def _give_up(self, record: KeptRecord, reason: str) -> None:
        self._forget()
        self._publish(
            EventKind.NOT_PUT_BACK,
            f"{record.scheduler} is no longer kept: {reason}",
            **self._names(record),
            reason=reason,
        )

    def _names(self, record: KeptRecord) -> dict[str, str]:
        return {
            "trial": record.trial,
            "candidate": record.candidate,
            "scheduler": record.scheduler,
            "workload": record.workload,
        }

    # ------------------------------------------------------------ what others report

    def kept(self, trial: Trial, kept: Kept) -> None:
        """A trial's candidate has won, and stays. Reads its source and its object."""
        candidate = trial.candidate
        try:
            request = self._candidates.request_of(candidate)
            digest = object_digest(candidate)
        except Fault as fault:
            self._on_trouble(f"{candidate.name} is kept, but not after a restart: {fault}")
            self._forget()
            return
        record = record_of(
            kept,
            trial.guards,
            scheduler=candidate.name,
            request=request,
            object_sha256=digest,
            boot=self._boot,
            trial=trial.id,
            by_hand=trial.request.fed_by_client,
        )
        before = trial.before.what.candidate if trial.before else ""
        self._settled()
        self._trial = ""
        self._file.become(self._file.state.keeping(self._regime, record, before))

    def trial_lost(self, trial: Trial) -> None:
        """A trial has ended without a keep; perhaps it was the one of a kept scheduler."""
        record = self._record
        if trial.id != self._trial or record is None:
            return
        self._trial = ""
        self._file.become(self._file.state.stopped())
        if self._stopping:
            return  # nobody has judged it: the next start asks again
        if trial.state is TrialState.UNMEASURED and self._unmeasured + 1 < MOST_UNMEASURED:
            self._unmeasured += 1
            self._pending = True
            return
        self._give_up(record, f"its fresh trial ended as {trial.state.value}: {trial.reason}")

    def rolled_back(self, *, back: bool) -> None:
        """What is kept is given up; `back`: what was kept before it runs again."""
        self._settled()
        self._trial = ""
        self._file.become(self._file.state.without(self._regime, back=back))

    def ended(self, reason: str) -> bool:
        """What is kept is given up by a person, or has left the kernel. False if nothing is."""
        record = self._record
        if record is None:
            return False
        waited = self._pending
        self._forget()
        if waited:
            self._publish(
                EventKind.NOT_PUT_BACK,
                f"{record.scheduler} is no longer kept: {reason}",
                **self._names(record),
                reason=reason,
            )
        return True

    def daemon_stops(self) -> None:
        """From here on nothing is put back, and the end of a trial says nothing."""
        self._stopping = True
        self._settled()

    def daemon_ends(self) -> None:
        """The daemon has taken its scheduler out of the kernel in order."""
        ended = self._file.state.ended()
        if ended != self._file.state:
            self._file.become(ended)

    def _forget(self) -> None:
        self._settled()
        self._trial = ""
        self._file.become(self._file.state.without(self._regime))

    # ------------------------------------------------------------ for clients

    @property
    def regime(self) -> str:
        """The power regime in force."""
        return self._regime

    def views(self) -> list[KeptView]:
        """Everything that is kept, and what is done with it now."""
        return [self._view(regime, pair.now) for regime, pair in self._file.state.regimes.items()]

    def _view(self, regime: str, record: KeptRecord) -> KeptView:
        reason, until, state = "", 0.0, KeptViewState.RUNNING
        if regime != self._regime:
            state = KeptViewState.ELSEWHERE
            reason = f"the power regime is {self._regime or 'unknown'}"
        elif self._pending:
            state, reason = KeptViewState.WAITING, "the gates pass it again"
        elif self._trial:
            state = KeptViewState.TRIAL
        if regime == self._regime and self._decision is not None:
            reason, until = self._decision.reason, self._decision.until
        return KeptView(
            power=regime,
            scheduler=record.scheduler,
            candidate=record.candidate,
            workload=record.workload,
            objective=record.objective,
            trial=self._trial if state is KeptViewState.TRIAL else record.trial,
            since=record.since,
            kernel=record.boot.kernel.title,
            state=state,
            reason=reason,
            until=until,
        )


def object_digest(candidate: Candidate) -> str:
    """SHA-256 of what is loaded: the object, or an installed scheduler's program.

    Raises:
        Fault: STATE if it cannot be read.
    """
    path = candidate.proof.object or (Path(candidate.command[0]) if candidate.command else None)
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            f"what was built of {candidate.name} cannot be read",
            where=str(path),
            why=error.strerror or "",
        ) from None
