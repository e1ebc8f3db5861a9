# SPDX-License-Identifier: GPL-2.0-or-later
"""The offline advisor learns: the test replays recorded gains through history and beliefs."""

from collections.abc import Sequence
from statistics import fmean

import pytest

from benchmarks.learning.record import SEEDS
from benchmarks.learning.replay import EPISODES, Dealt, episodes, recorded, replay
from benchmarks.learning.workloads import WORKLOADS
from scheduler_library.catalog import load_catalog
from scheduler_library.learning.templates import templates
from scheduler_library.manifest import EntryKind

RUNS = 5
THIRD = EPISODES // 3


@pytest.fixture(scope="module")
def runs() -> list[list[Dealt]]:
    """Thirty episodes of mixed workloads, each run in its own order and with its own memory."""
    workloads = recorded()
    return [replay(episodes(workloads, seed), seed) for seed in range(RUNS)]


@pytest.fixture(scope="module")
def forgetful() -> list[list[Dealt]]:
    """The same episodes, each for an advisor that remembers nothing."""
    workloads = recorded()
    return [replay(episodes(workloads, seed), seed, memory=False) for seed in range(2)]


def _regret(runs: Sequence[Sequence[Dealt]], third: int) -> float:
    return fmean(each.regret for run in runs for each in run[third * THIRD : (third + 1) * THIRD])


def _trials(runs: Sequence[Sequence[Dealt]], meeting: int) -> float:
    return fmean(each.trials for run in runs for each in run if each.meeting == meeting)


def test_regret_falls_over_repeated_episodes(runs: list[list[Dealt]]) -> None:
    """The last ten of thirty episodes lose less than half of what the first ten lose."""
    assert _regret(runs, 2) < 0.5 * _regret(runs, 0)


def test_without_a_memory_regret_does_not_fall_as_far(
    runs: list[list[Dealt]], forgetful: list[list[Dealt]]
) -> None:
    """Memory makes regret fall: without it, much more is lost at the end."""
    assert _regret(runs, 2) < 0.5 * _regret(forgetful, 2)


def test_the_second_meeting_is_decided_with_fewer_trials(runs: list[list[Dealt]]) -> None:
    """A workload that was met before takes clearly fewer trials than a new one."""
    assert _trials(runs, 2) < 0.85 * _trials(runs, 1)
    assert _trials(runs, 3) <= _trials(runs, 2)


def test_what_nothing_helps_is_left_alone_when_it_is_met_again(runs: list[list[Dealt]]) -> None:
    """On a workload that no scheduler improves, the trials end."""
    solver = [each for run in runs for each in run if each.workload == "solver"]
    first = fmean(each.trials for each in solver if each.meeting == 1)
    third = fmean(each.trials for each in solver if each.meeting == 3)
    assert third < 0.5 * first


def test_the_same_seed_replays_the_same(runs: list[list[Dealt]]) -> None:
    """The result depends only on the recording and the seed."""
    workloads = recorded()
    assert replay(episodes(workloads, 0), 0) == runs[0]


def test_the_recording_is_of_the_library_and_the_lines_there_are() -> None:
    """New entries have to be recorded, with `python -m benchmarks.learning.record`."""
    own = {each.name for each in load_catalog() if each.manifest.kind is EntryKind.BPF}
    found = {each.name: each for each in recorded()}
    assert set(found) == set(WORKLOADS)
    for each in found.values():
        lines = {line.policy for line in templates(each.profile.tags, each.profile.workload)}
        assert set(each.gains) == own | lines
        assert all(len(gains) == len(SEEDS) for gains in each.gains.values())
