# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes candidates, trials and episodes into the history, and reads them back.

Everything here survives trouble with the file: `History` then continues in memory, and the first
time is reported.
"""

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import wraps
from typing import Concatenate, ParamSpec

from pydantic import ValidationError

from daemon.api.models import (
    Decision,
    EpisodeState,
    EpisodeView,
    OutcomeView,
    StepKind,
    StepRequest,
    StepRole,
    StepView,
    TrialView,
    VerdictView,
)
from daemon.decide.episode_states import EPISODE_LIFE, EpisodeChange
from daemon.decide.runtimes import LearnedRuntime, RuntimeKey
from daemon.decide.trial_states import TRIAL_LIFE, TrialChange
from daemon.gates.candidates import Candidate
from daemon.lifecycle.episodes import Episode
from process import Fault
from scheduler_library import history, history_learning, transcript
from scheduler_library.history import History
from scheduler_library.learning.templates import shape

# How many episodes are checked after a start for ones that an earlier run left open.
INTERRUPTED_LOOKED_AT = 100

P = ParamSpec("P")


def _tolerant(
    tell: "Callable[Concatenate[HistoryWriter, P], None]",
) -> "Callable[Concatenate[HistoryWriter, P], None]":
    """Trouble with a record is reported and not raised: the recorded work goes on."""

    @wraps(tell)
    def told(self: "HistoryWriter", *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            tell(self, *args, **kwargs)
        except (Fault, sqlite3.Error) as trouble:
            self.missed(str(trouble))
        self.check()

    return told  # type: ignore[return-value]  # mypy names the first parameter, and minds


class HistoryWriter:
    """The daemon's side of the history. Calls are short and made from the event loop."""

    def __init__(self, store: History, on_trouble: Callable[[str], None]) -> None:
        self._store = store
        self._on_trouble = on_trouble
        self._told = store.degraded is not None
        self._missed = False

    def missed(self, why: str) -> None:
        """The first record that could not be written is reported."""
        if not self._missed:
            self._missed = True
            self._on_trouble(f"the history misses some records: {why}")

    def check(self) -> None:
        if self._store.degraded is not None and not self._told:
            self._told = True
            self._on_trouble(str(self._store.degraded))

    @property
    def degraded(self) -> str:
        """Why nothing is written down, or ""."""
        return str(self._store.degraded) if self._store.degraded else ""

    def close(self) -> None:
        self._store.close()

    # -- writing

    @_tolerant
    def candidate(self, candidate: Candidate) -> None:
        now = time.time()
        results = [(gate.gate.value, gate.passed) for gate in candidate.proof.results]
        known = [(gate.gate, gate.passed) for gate in self._store.gates(candidate.id)]
        if results and known[-len(results) :] == results:
            return
        params = {k: v for k, v in candidate.parameters.items() if not isinstance(v, str)}
        self._store.add_candidate(
            history.CandidateRecord(
                candidate.id,
                now,
                candidate.name,
                candidate.kind.value,
                params,
                candidate.source_sha256,
                # Lines that differ only in a name are of one kind for learning.
                shape(candidate.policy) if candidate.policy else "",
            )
        )
        for gate in candidate.proof.results:
            first = gate.skipped or (gate.messages[0].message if gate.messages else "")
            self._store.add_gate(
                history.GateRecord(
                    candidate.id,
                    gate.gate.value,
                    now,
                    gate.passed,
                    gate.seconds,
                    first[:500],
                    gate.figures,
                )
            )

    @_tolerant
    def episode(self, episode: Episode) -> None:
        """The current state of the episode: new, changed or closed."""
        known = self._store.episode(episode.id)
        if known is None:
            if episode.profile is not None:
                self._store.add_profile(
                    history.ProfileRecord(
                        f"p-{episode.id}",
                        episode.at,
                        episode.workload,
                        tuple(episode.profile.tags),
                        episode.profile.figures,
                    )
                )
            self._store.add_episode(
                history.EpisodeRecord(
                    episode.id,
                    episode.at,
                    episode.workload,
                    episode.reason,
                    f"p-{episode.id}" if episode.profile is not None else None,
                )
            )
        elif episode.state is EpisodeState.CLOSED and known.ended_at is None:
            self._store.end_episode(episode.id, episode.ended, episode.outcome)
            self._store.prune()
        self._store.put_view(episode.id, episode.at, episode.view().model_dump_json())

    @_tolerant
    def trial_started(self, trial: TrialView) -> None:
        self._store.add_trial(
            history.TrialRecord(trial.id, trial.episode, trial.candidate, trial.at, trial.objective)
        )

    @_tolerant
    def trial_ended(self, trial: TrialView, *, is_evidence: bool = True) -> None:
        """`is_evidence`: its verdict says something of the candidate, and is learned from."""
        for number, window in enumerate(trial.windows, start=1):
            self._store.add_window(
                history.Window(
                    trial.id,
                    number,
                    history.Arm(window.arm.value),
                    window.started,
                    window.ended - window.started,
                    None if window.excluded else window.value,
                    window.guarded,
                )
            )
        if trial.verdict is not None and is_evidence:
            verdict = trial.verdict
            low, high = _gain_bounds(verdict)
            self._store.add_verdict(
                history.VerdictRecord(
                    trial.id,
                    trial.ended,
                    history.Decision(verdict.decision.value),
                    verdict.gain,
                    low,
                    high,
                    verdict.reason,
                )
            )
        self._store.end_trial(trial.id, trial.ended, trial.state.value)
        self._store.put_view(trial.id, trial.at, trial.model_dump_json())

    @_tolerant
    def step(self, episode: str, step: StepRequest) -> None:
        transcript.add(
            self._store, episode, transcript.TranscriptStep(**step.model_dump(mode="json"))
        )

    @_tolerant
    def hold_lesson(self, text: str, author: str, episode: str, at: float) -> None:
        """Keep a lesson for the file of lessons, which cannot take it now."""
        known = episode if episode and self._store.episode(episode) else None
        self._store.add_lesson(history.LessonRecord(at, author, text, (), known))

    @_tolerant
    def drop_lessons(self) -> None:
        """The kept lessons are in the file."""
        self._store.drop_lessons()

    @_tolerant
    def moved(self, move: history_learning.Move) -> None:
        """The weights of a search were moved."""
        history_learning.add_move(self._store, move)

    @_tolerant
    def runtimes_learned(self, learned: Iterable[tuple[RuntimeKey, LearnedRuntime]]) -> None:
        self._store.put_runtimes(
            history.RuntimeRecord(
                key.program,
                key.arguments,
                runtime.mean_ns,
                runtime.spread_ns,
                runtime.count,
                runtime.at,
            )
            for key, runtime in learned
        )

    @_tolerant
    def close_interrupted(self) -> None:
        """Close what an earlier run of the daemon left open: nobody works on it any more."""
        now = time.time()
        why = "the daemon ended before it did"
        for each in self._store.episodes(INTERRUPTED_LOOKED_AT):
            view = self._episode_view(each.id)
            if each.ended_at is not None or view is None:
                continue
            trials = []
            for trial in view.trials:
                ended = trial
                if not TRIAL_LIFE.is_final(trial.state):
                    state = TRIAL_LIFE.after(trial.state, TrialChange.INTERRUPTED)
                    update = {"state": state, "ended": now, "reason": why}
                    ended = trial.model_copy(update=update)
                    self._store.end_trial(trial.id, now, ended.state.value)
                    self._store.put_view(trial.id, trial.at, ended.model_dump_json())
                trials.append(ended)
            closed = view.model_copy(
                update={
                    "state": EPISODE_LIFE.after(view.state, EpisodeChange.INTERRUPTED),
                    "ended": now,
                    "outcome": why,
                    "trials": trials,
                }
            )
            self._store.end_episode(each.id, now, why)
            self._store.put_view(each.id, each.started_at, closed.model_dump_json())

    # -- reading

    def episodes(self, last: int) -> list[EpisodeView]:
        """The newest first, including those of earlier runs of the daemon."""
        return [
            view
            for each in self._store.episodes(last)
            if (view := self._episode_view(each.id)) is not None
        ]

    def episode_view(self, id: str) -> EpisodeView | None:
        return self._episode_view(id)

    def _episode_view(self, id: str) -> EpisodeView | None:
        raw = self._store.view(id)
        try:
            return EpisodeView.model_validate_json(raw) if raw else None
        except ValidationError:
            return None

    def trial_view(self, id: str) -> TrialView | None:
        raw = self._store.view(id)
        try:
            return TrialView.model_validate_json(raw) if raw else None
        except ValidationError:
            return None

    def outcomes(self, scheduler: str) -> list[OutcomeView]:
        return [
            OutcomeView(
                scheduler=each.scheduler,
                parameters=dict(each.params),
                tags=list(each.tags),
                decision=Decision.KEEP if decision is history.Decision.KEEP else Decision.ROLLBACK,
                gain=gain,
                at=at,
                objective=objective,
                low=low,
                high=high,
            )
            for each in self._store.outcomes()
            if not scheduler or each.scheduler == scheduler
            for gain, decision, at, objective, (low, high) in zip(
                each.gains,
                each.decisions,
                each.times,
                each.objectives,
                each.bounds,
                strict=True,
            )
        ]

    def steps(self, episode: str) -> list[StepView]:
        """Oldest first; a note stands for steps that were left out."""
        views = []
        expected = 1
        for step in transcript.steps(self._store, episode):
            if step.number > expected:
                views.append(_left_out(step, step.number - expected))
            expected = step.number + 1
            with contextlib.suppress(ValidationError):
                views.append(StepView.model_validate(asdict(step)))
        return views

    def runtimes(self) -> list[tuple[RuntimeKey, LearnedRuntime]]:
        """The learned runtimes of processes, oldest first; impossible values are left out."""
        found = []
        for each in self._store.runtimes():
            with contextlib.suppress(ValueError, TypeError):
                known = LearnedRuntime(each.mean_ns, each.spread_ns, each.count, each.at)
                found.append((RuntimeKey(each.program, each.arguments), known))
        self.check()
        return found

    def held_lessons(self) -> list[history.LessonRecord]:
        """The lessons that wait for the file, newest first."""
        return self._store.lessons(history.KEPT_LESSONS)

    def evidence(self, last: int) -> list[history_learning.VerdictEvidence]:
        """The latest verdicts with their workloads, newest first."""
        return history_learning.evidence(self._store, last)

    def moves(self, last: int) -> list[history_learning.Move]:
        """How the weights of a search were moved, newest first."""
        return history_learning.moves(self._store, last)


def _left_out(following: transcript.TranscriptStep, count: int) -> StepView:
    noun = "step is" if count == 1 else "steps are"
    return StepView(
        number=following.number - 1,
        at=following.at,
        role=StepRole.HARNESS,
        kind=StepKind.NOTE,
        text=f"{count} {noun} left out: a transcript is bounded",
    )


def _gain_bounds(verdict: VerdictView) -> tuple[float, float]:
    """The interval of the gain, from that of the ratio; with a ratio of costs, lower is better."""
    if verdict.ratio == 1.0:
        return 0.0, 0.0
    sign = 1.0 if (verdict.gain > 0) == (verdict.ratio > 1) else -1.0
    low, high = sorted(sign * (bound - 1) for bound in (verdict.low, verdict.high))
    return low, high


def opened(store: "history.Opened", on_trouble: Callable[[str], None]) -> HistoryWriter:
    """A `HistoryWriter` on a newly opened history; notes about opening it are reported."""
    for note in store.notes:
        said: Fault = note
        on_trouble(f"{said}. {said.hint}")
    return HistoryWriter(store.history, on_trouble)
