# SPDX-License-Identifier: GPL-2.0-only
"""From figures to tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_library.profile import MEANING, Figures, Tag, tags_of

REDIS = Figures(
    mean_burst_us=200, wakeups_per_s=800, cpus_used=0.16, threads=5, machine_cpus=2,
    involuntary_ratio=0.4, machine_utilisation=1.0,
)  # fmt: skip
HOGS = Figures(
    mean_burst_us=900_000, wakeups_per_s=0.5, cpus_used=1.9, threads=4, machine_cpus=2,
    involuntary_ratio=0.99, machine_utilisation=1.0,
)  # fmt: skip
SHELL = Figures(mean_burst_us=400, wakeups_per_s=5, cpus_used=0.002, threads=1)
BUILD = Figures(
    mean_burst_us=30_000, wakeups_per_s=30, cpus_used=1.8, threads=12, machine_cpus=2,
    forks_per_s=45, involuntary_ratio=0.7,
)  # fmt: skip
RENDER = Figures(
    mean_burst_us=500_000, wakeups_per_s=1, cpus_used=2, threads=8, machine_cpus=2,
    jobs_finished=40, job_longest_ratio=20.0, involuntary_ratio=0.9,
)  # fmt: skip
ASLEEP = Figures(mean_burst_us=100, wakeups_per_s=0.1, cpus_used=0.00001, threads=1)


@pytest.mark.parametrize(
    ("figures", "has", "has_not"),
    [
        (REDIS, {Tag.LATENCY_SENSITIVE, Tag.SHORT_BURSTS, Tag.OVERCOMMITTED}, {Tag.BATCH}),
        (HOGS, {Tag.BATCH, Tag.CPU_BOUND, Tag.CONTENDED}, {Tag.LATENCY_SENSITIVE, Tag.IDLE}),
        (SHELL, {Tag.INTERACTIVE, Tag.SHORT_BURSTS}, {Tag.LATENCY_SENSITIVE, Tag.IDLE}),
        (BUILD, {Tag.BATCH, Tag.FORK_HEAVY, Tag.CONTENDED}, {Tag.SHORT_BURSTS}),
        (RENDER, {Tag.UNEVEN_JOBS, Tag.CPU_BOUND}, {Tag.FORK_HEAVY}),
        (ASLEEP, {Tag.IDLE}, {Tag.SHORT_BURSTS, Tag.BATCH, Tag.INTERACTIVE}),
    ],
)
def test_familiar_workloads_get_the_tags_one_expects(
    figures: Figures, has: set[Tag], has_not: set[Tag]
) -> None:
    """Figures of well-known kinds of workload are called by their kind."""
    tags = set(tags_of(figures))
    assert has <= tags
    assert not has_not & tags


@given(
    st.builds(
        Figures,
        mean_burst_us=st.floats(0, 1e9),
        wakeups_per_s=st.floats(0, 1e7),
        cpus_used=st.floats(0, 4096),
        threads=st.integers(0, 100_000),
        running_threads=st.floats(0, 4096),
        involuntary_ratio=st.floats(0, 1),
        machine_cpus=st.integers(1, 4096),
    )
)
def test_no_workload_is_both_a_service_and_a_batch(figures: Figures) -> None:
    """Any figures give tags, and never the two that exclude each other."""
    tags = tags_of(figures)
    assert not {Tag.LATENCY_SENSITIVE, Tag.BATCH} <= set(tags)
    assert not {Tag.IDLE, Tag.CPU_BOUND} <= set(tags)


def test_every_tag_has_a_meaning_in_words() -> None:
    """Whoever shows a tag can say what it means."""
    assert set(MEANING) == set(Tag)
