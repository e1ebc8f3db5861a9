# SPDX-License-Identifier: GPL-2.0-only
"""What the history is told of candidates, trials and episodes, and what it gives back.

Everything here survives trouble with the file: `History` goes on in memory then, and the
first such time is told.
"""

import time
from collections.abc import Callable

from pydantic import ValidationError

from daemon.api.models import (
    Decision,
    EpisodeState,
    EpisodeView,
    LessonView,
    OutcomeView,
    TrialView,
    VerdictView,
)
from daemon.candidates import Candidate
from daemon.episodes import Episode
from process import Fault
from scheduler_library import history
from scheduler_library.history import History


class Recall:
    """The daemon's side of the history. Calls are short and made from the event loop."""

    def __init__(self, store: History, on_trouble: Callable[[str], None]) -> None:
        self._store = store
        self._on_trouble = on_trouble
        self._told = store.degraded is not None

    def _check(self) -> None:
        if self._store.degraded is not None and not self._told:
            self._told = True
            self._on_trouble(str(self._store.degraded))

    @property
    def degraded(self) -> str:
        """Why nothing is written down, or nothing."""
        return str(self._store.degraded) if self._store.degraded else ""

    def close(self) -> None:
        self._store.close()

    # -- telling it

    def candidate(self, candidate: Candidate) -> None:
        now = time.time()
        params = {k: v for k, v in candidate.parameters.items() if not isinstance(v, str)}
        self._store.add_candidate(
            history.Candidate(
                candidate.id,
                now,
                candidate.name,
                candidate.kind.value,
                params,
                candidate.source_sha256,
            )
        )
        for gate in candidate.proof.results:
            first = gate.messages[0].message if gate.messages else ""
            self._store.add_gate(
                history.Gate(
                    candidate.id,
                    gate.gate.value,
                    now,
                    gate.passed,
                    gate.seconds,
                    first[:500],
                    gate.figures,
                )
            )
        self._check()

    def episode(self, episode: Episode) -> None:
        """The episode as it stands now: new, changed or closed."""
        known = self._store.episode(episode.id)
        if known is None:
            if episode.profile is not None:
                self._store.add_profile(
                    history.Profile(
                        f"p-{episode.id}",
                        episode.at,
                        episode.workload,
                        tuple(episode.profile.tags),
                        episode.profile.figures,
                    )
                )
            self._store.add_episode(
                history.Episode(
                    episode.id,
                    episode.at,
                    episode.workload,
                    episode.reason,
                    f"p-{episode.id}" if episode.profile is not None else None,
                )
            )
        elif episode.state is EpisodeState.CLOSED and known.ended_at is None:
            self._store.end_episode(episode.id, episode.ended, episode.outcome)
            cost = episode.cost
            self._store.add_cost(
                history.Cost(
                    episode.id,
                    episode.ended,
                    cost.calls,
                    cost.input_tokens + cost.output_tokens,
                    cost.money,
                    cost.seconds,
                )
            )
            self._store.prune()
        self._store.put_view(episode.id, episode.at, episode.view().model_dump_json())
        self._check()

    def trial_started(self, trial: TrialView) -> None:
        self._store.add_trial(
            history.Trial(trial.id, trial.episode, trial.candidate, trial.at, trial.objective)
        )
        self._check()

    def trial_ended(self, trial: TrialView) -> None:
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
        if trial.verdict is not None:
            verdict = trial.verdict
            low, high = _gain_bounds(verdict)
            self._store.add_verdict(
                history.Verdict(
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
        self._check()

    def lesson(self, text: str, author: str, episode: str | None) -> LessonView:
        at = time.time()
        known = episode if episode and self._store.episode(episode) else None
        self._store.add_lesson(history.Lesson(at, author, text, (), known))
        self._check()
        return LessonView(text=text, episode=known or "", at=at)

    # -- asking it

    def episodes(self, last: int) -> list[EpisodeView]:
        """The newest first, those of earlier runs of the daemon included."""
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
            )
            for each in self._store.outcomes()
            if not scheduler or each.scheduler == scheduler
            for gain, decision, at in zip(each.gains, each.decisions, each.times, strict=True)
        ]

    def lessons(self) -> list[LessonView]:
        return [
            LessonView(text=each.text, episode=each.episode or "", at=each.at)
            for each in self._store.lessons()
        ]


def _gain_bounds(verdict: VerdictView) -> tuple[float, float]:
    """The interval of the gain, from that of the ratio; lower is better where less is gained."""
    if verdict.ratio == 1.0:
        return 0.0, 0.0
    sign = 1.0 if (verdict.gain > 0) == (verdict.ratio > 1) else -1.0
    low, high = sorted(sign * (bound - 1) for bound in (verdict.low, verdict.high))
    return low, high


def opened(store: "history.Opened", on_trouble: Callable[[str], None]) -> Recall:
    """A `Recall` on a history just opened; what had to be done for it is told."""
    for note in store.notes:
        said: Fault = note
        on_trouble(f"{said}. {said.hint}")
    return Recall(store.history, on_trouble)
