# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of episodes and trials, for tests of learning."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemon.api.models import (
    Decision,
    Direction,
    ProfileView,
    TrialState,
    TrialView,
    VerdictView,
)
from daemon.decide.backoff import Quarantine
from daemon.gates.candidates import Candidate
from daemon.lifecycle.episodes import Episode
from daemon.memory.beliefs import Beliefs
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import FILE, Lessons
from scheduler_library.catalog import load_catalog
from scheduler_library.history import FILE as HISTORY
from scheduler_library.history import open_history
from scheduler_library.manifest import EntryKind

NOW = 1_800_000_000.0
WEB = ProfileView(
    workload="comm:web",
    tags=["latency-sensitive", "short-bursts"],
    figures={"mean_burst_us": 300.0, "wakeups_per_s": 800.0},
)


@dataclass
class Memory:
    """The memory of a daemon, in a folder."""

    folder: Path
    history_writer: HistoryWriter
    lessons: Lessons
    beliefs: Beliefs
    troubles: list[str]
    quarantines: list[Quarantine] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / FILE

    def tried(
        self,
        scheduler: str,
        gain: float,
        *,
        number: int = 1,
        profile: ProfileView = WEB,
        policy: str = "",
        at: float = NOW,
        objective: str = "response p99",
    ) -> TrialView:
        """An episode with one trial and this outcome."""
        episode = Episode(f"e-{number:04d}", profile.workload, "slow", at, profile=profile)
        self.history_writer.episode(episode)
        kind = EntryKind.POLICY if policy else EntryKind.BPF
        candidate = Candidate(f"c-{scheduler}", scheduler, kind, {}, at=at, policy=policy)
        trial = TrialView(
            id=f"t-{number:04d}",
            state=TrialState.RUNNING,
            candidate=candidate.id,
            scheduler=scheduler,
            workload=profile.workload,
            policy=policy,
            objective=objective,
            direction=Direction.LOWER,
            unit="us",
            episode=episode.id,
            at=at,
        )
        self.history_writer.candidate(candidate)
        self.history_writer.trial_started(trial)
        verdict = VerdictView(
            decision=Decision.KEEP if gain > 0 else Decision.ROLLBACK,
            ratio=1 - gain,
            low=1 - gain - 0.05,
            high=1 - gain + 0.05,
            confidence=0.95,
            gain=gain,
            reason="measured",
            windows_baseline=4,
            windows_candidate=4,
        )
        state = TrialState.KEPT if gain > 0 else TrialState.ROLLED_BACK
        ended = trial.model_copy(update={"state": state, "verdict": verdict, "ended": at + 60})
        episode.trials[ended.id] = ended
        self.history_writer.trial_ended(ended)
        self.history_writer.episode(episode)
        return ended


@contextmanager
def remembering(folder: Path) -> Iterator[Memory]:
    """The memory in this folder, as a starting daemon finds it."""
    folder.mkdir(exist_ok=True)
    troubles: list[str] = []
    quarantines: list[Quarantine] = []
    history_writer = HistoryWriter(open_history(folder / HISTORY).history, troubles.append)
    lessons = Lessons(folder / FILE, history_writer, troubles.append)
    catalog = load_catalog()
    beliefs = Beliefs(
        catalog=lambda: catalog,
        history_writer=history_writer,
        lessons=lessons,
        quarantines=lambda: tuple(quarantines),
    )
    try:
        yield Memory(folder, history_writer, lessons, beliefs, troubles, quarantines)
    finally:
        history_writer.close()
