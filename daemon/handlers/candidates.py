# SPDX-License-Identifier: GPL-2.0-or-later
"""Candidates: made, passed through the gates, and shown."""

import time

from daemon.api.models import CandidateRequest, CandidateView
from daemon.autopilot import Autopilot
from daemon.decide.criteria import Criteria
from daemon.gates.candidates import Candidates
from daemon.gates.preparation import Preparation
from daemon.handlers.beliefs import BeliefsHandler
from daemon.handlers.judging import Judging
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import Episodes
from daemon.memory.history_writer import HistoryWriter
from simulator.gates import JudgedBy


class CandidatesHandler:
    def __init__(
        self,
        *,
        candidates: Candidates,
        episodes: Episodes,
        history_writer: HistoryWriter,
        backoff_store: BackoffStore,
        autopilot: Autopilot,
        preparation: Preparation,
        judging: Judging,
        beliefs: BeliefsHandler,
    ) -> None:
        self._candidates = candidates
        self._episodes = episodes
        self._history_writer = history_writer
        self._backoff_store = backoff_store
        self._autopilot = autopilot
        self._preparation = preparation
        self._judging = judging
        self._beliefs = beliefs

    async def candidate(self, id: str) -> CandidateView:
        held = self._backoff_store.state.quarantine_of(id, time.time())
        candidate = self._candidates.get(id)
        # If a candidate is not proven, the gate's full messages are with the gate.
        return candidate.view(held.reason if held and candidate.proven else "")

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        episode = self._episodes.get_open(request.episode) if request.episode else None
        judged = None
        if request.objective or request.guards:
            # An error in it is reported before any gate runs.
            workload = episode.workload if episode else request.workload or ""
            judged = self._judging.judged(episode, workload, request.objective, request.guards)
            if episode is not None:
                self._episodes.judge_by(episode, judged)
        workload = request.workload or (episode.workload if episode else "")
        predicted = judged or self._judging.expected(episode, workload)
        with self._preparation.making_way():
            candidate = await self._candidates.create(
                request, workload, _judged_by(workload, predicted) if predicted else None
            )
        self._history_writer.candidate(candidate)
        self._autopilot.gates_met(candidate)
        if episode is not None:
            self._episodes.note_candidate(episode, candidate.id)
        view = await self.candidate(candidate.id)
        warnings = await self._beliefs.warnings(
            candidate.id,
            request.workload or "",
            episode.id if episode else "",
            judged.objective.canonical if judged else "",
        )
        told = {"warnings": warnings}
        if judged is None:
            return view.model_copy(update=told)
        guards = [each.view() for each in judged.guards]
        read = {"objective": judged.objective.canonical, "guards": guards}
        return view.model_copy(update={**told, **read})


def _judged_by(workload: str, criteria: Criteria) -> JudgedBy:
    """The same in the simulator's form."""
    guards = tuple((each.workload, each.term.canonical) for each in criteria.guards)
    return JudgedBy(workload, criteria.objective.canonical, guards)
