# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes replayed against recorded gains, through the real advisor and the real history.

`record.py` recorded the gain of each scheduler on each workload. A trial here draws from those
gains, with the noise of windows. Its verdict follows the daemon's rule: keep if the whole interval
is on the better side, else roll back. Everything else is the product itself: SQLite history,
beliefs, the offline advisor and its lessons.
"""

import json
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from agent.advisor import EpisodeResult, Proposal, Situation
from agent.bandit_advisor import advise, lesson
from daemon.api.models import (
    Autonomy,
    Decision,
    Direction,
    KernelView,
    ProfileView,
    StatusView,
    TrialState,
    TrialView,
    VerdictView,
)
from daemon.decide.episode_states import EpisodeChange
from daemon.gates.candidates import Candidate
from daemon.lifecycle.episodes import Episode
from daemon.memory.beliefs import BeliefQuestion, Beliefs
from daemon.memory.history_writer import HistoryWriter
from daemon.memory.lessons import FILE as LESSONS
from daemon.memory.lessons import Lessons
from scheduler_library.catalog import Catalog, load_catalog
from scheduler_library.history import FILE as HISTORY
from scheduler_library.history import open_history
from scheduler_library.manifest import EntryKind

GAINS = Path(__file__).parent / "gains.json"
EPISODES = 30
# The advisor's own bound (agent.toml, `advisor.most_trials`).
MOST_TRIALS = 3
# Standard deviation of a trial's measured gain around the recorded one, and half of its interval.
NOISE = 0.03
HALF_INTERVAL = 0.05
# The cost of a trial that ends in a rollback, in gain, for the time that it took.
TRIAL_COST = 0.02
# The time between two episodes: so long that no scheduler is refused because it failed recently.
HOURS_APART = 5.0
_BORN = 1_800_000_000.0


@dataclass(frozen=True)
class RecordedGains:
    """A recorded workload. `gains` by scheduler or line, one for each seed."""

    name: str
    profile: ProfileView
    gains: Mapping[str, tuple[float, ...]]

    def true_gain(self, arm: str) -> float:
        return sum(self.gains[arm]) / len(self.gains[arm])

    @property
    def best(self) -> float:
        """The gain of the best choice; doing nothing has 0."""
        return max(0.0, *(self.true_gain(arm) for arm in self.gains))


@dataclass(frozen=True)
class Dealt:
    """One episode: how often its workload was met before, what was done, and the gain."""

    workload: str
    meeting: int
    trials: int
    kept: str
    regret: float


@dataclass
class Memory:
    """A daemon's memory in a folder: history, lessons, beliefs."""

    folder: Path
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        opened = open_history(self.folder / HISTORY)
        self.history_writer = HistoryWriter(opened.history, self.troubles.append)
        self.lessons = Lessons(self.folder / LESSONS, self.history_writer, self.troubles.append)
        entries = {
            each.name: each for each in load_catalog() if each.manifest.kind is EntryKind.BPF
        }
        catalog = Catalog(MappingProxyType(entries))
        self.beliefs = Beliefs(
            catalog=lambda: catalog,
            history_writer=self.history_writer,
            lessons=self.lessons,
            quarantines=tuple,
        )


def recorded(path: Path = GAINS) -> list[RecordedGains]:
    """The workloads of the recording."""
    data = json.loads(path.read_text())
    return [
        RecordedGains(
            name,
            ProfileView(
                workload=about["workload"],
                tags=about["tags"],
                figures={key: float(value) for key, value in about["figures"].items()},
            ),
            {
                arm: tuple(-1.0 if gain is None else gain for gain in gains)
                for arm, gains in data["gains"][name].items()
            },
        )
        for name, about in data["workloads"].items()
    ]


def episodes(
    workloads: Sequence[RecordedGains], seed: int, count: int = EPISODES
) -> list[RecordedGains]:
    """A mixed sequence: rounds in which each workload comes once, in random order."""
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
    found: list[RecordedGains] = []
    while len(found) < count:
        found += chance.sample(list(workloads), len(workloads))
    return found[:count]


def replay(
    sequence: Sequence[RecordedGains], seed: int, *, memory: bool = True, folder: Path | None = None
) -> list[Dealt]:
    """Work on the episodes one after the other; without memory each is the first one.

    Args:
        folder: the memory is here and stays; without a folder it is thrown away.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-replay-") as place:
        remembered = Memory(folder or Path(place)) if memory else None
        found = list(_dealt(sequence, seed, remembered))
        if remembered is not None:
            remembered.history_writer.close()
        return found


def _dealt(sequence: Sequence[RecordedGains], seed: int, memory: Memory | None) -> Iterator[Dealt]:
    chance = random.Random(seed + 1_000_000)  # noqa: S311 - reproducible on purpose
    met: dict[str, int] = {}
    for number, workload in enumerate(sequence):
        met[workload.name] = met.get(workload.name, 0) + 1
        at = _BORN + number * HOURS_APART * 3600
        id = f"e-{seed:04d}x{number:03d}"
        if memory is not None:
            dealt = _episode(memory, workload, id, at, chance)
        else:
            with tempfile.TemporaryDirectory(prefix="schedpilot-replay-") as place:
                blank = Memory(Path(place))
                dealt = _episode(blank, workload, id, at, chance)
                blank.history_writer.close()
        yield Dealt(workload.name, met[workload.name], len(dealt.trials), dealt.kept, dealt.regret)


@dataclass(frozen=True)
class _ReplayOutcome:
    trials: tuple[TrialView, ...]
    kept: str
    regret: float


def _episode(
    memory: Memory, workload: RecordedGains, id: str, at: float, chance: random.Random
) -> _ReplayOutcome:
    profile = workload.profile
    episode = Episode(id, profile.workload, "delays rose", at, profile=profile)
    memory.history_writer.episode(episode)
    tried: list[TrialView] = []
    plan: list[Proposal] = []
    kept = ""
    situation = None
    while len(tried) < MOST_TRIALS and not kept:
        if not plan:
            situation = Situation(
                at=at,
                episode=episode.view(),
                profile=profile,
                status=StatusView(
                    version="replay",
                    pid=1,
                    since=at,
                    autonomy=Autonomy.AUTO,
                    kernel=KernelView(supported=True),
                ),
                beliefs=memory.beliefs.beliefs(BeliefQuestion(profile), at),
                tried=tuple(tried),
            )
            plan = list(advise(situation).proposals)
            if not plan:
                break
        proposal = plan.pop(0)
        trial = _trial(memory, workload, episode, proposal, at + 60 * len(tried), chance)
        tried.append(trial)
        if situation is not None:
            said = lesson(EpisodeResult(situation, proposal, trial))
            memory.lessons.record(said, "advisor", id, trial.id, trial.ended)
        if trial.state is TrialState.KEPT:
            kept = proposal.policy or proposal.scheduler
    episode.end(EpisodeChange.CLOSED, kept or "nothing", at + 600)
    memory.history_writer.episode(episode)
    failed = len(tried) - bool(kept)
    brought = workload.true_gain(kept) if kept else 0.0
    return _ReplayOutcome(tuple(tried), kept, workload.best - brought + TRIAL_COST * failed)


def _trial(
    memory: Memory,
    workload: RecordedGains,
    episode: Episode,
    proposal: Proposal,
    at: float,
    chance: random.Random,
) -> TrialView:
    arm = proposal.policy or proposal.scheduler
    gain = chance.choice(workload.gains[arm]) + chance.gauss(0, NOISE)
    keep = gain - HALF_INTERVAL > 0
    candidate = Candidate(
        f"c-{proposal.scheduler}",
        proposal.scheduler,
        EntryKind.POLICY if proposal.policy else EntryKind.BPF,
        dict(proposal.parameters),
        at=at,
        policy=proposal.policy,
    )
    trial = TrialView(
        id=f"t-{episode.id[2:]}{len(episode.trials)}",
        state=TrialState.RUNNING,
        candidate=candidate.id,
        scheduler=proposal.scheduler,
        parameters=dict(proposal.parameters),
        workload=episode.workload,
        objective="response p99",
        direction=Direction.LOWER,
        unit="us",
        episode=episode.id,
        at=at,
    )
    memory.history_writer.candidate(candidate)
    memory.history_writer.trial_started(trial)
    verdict = VerdictView(
        decision=Decision.KEEP if keep else Decision.ROLLBACK,
        ratio=1 - gain,
        low=1 - gain - HALF_INTERVAL,
        high=1 - gain + HALF_INTERVAL,
        confidence=0.95,
        gain=gain,
        reason="replayed",
        windows_baseline=4,
        windows_candidate=4,
    )
    state = TrialState.KEPT if keep else TrialState.ROLLED_BACK
    ended = trial.model_copy(update={"state": state, "verdict": verdict, "ended": at + 50})
    episode.trials[trial.id] = ended
    memory.history_writer.trial_ended(ended)
    memory.history_writer.episode(episode)
    memory.beliefs.trial_ended(ended, workload.profile)
    return ended


__all__ = ["Dealt", "Memory", "RecordedGains", "episodes", "recorded", "replay"]
