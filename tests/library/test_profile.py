# SPDX-License-Identifier: GPL-2.0-or-later
"""From figures to tags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler_library.profile import (
    MEANING,
    PURPOSES,
    Tag,
    WorkloadFigures,
    ends_by_itself,
    runs_to_completion,
    tags_of,
    understood,
)
from scheduler_library.purpose import Purpose, PurposeEvidence, PurposeSource

REDIS = WorkloadFigures(
    mean_burst_us=200, wakeups_per_s=800, cpus_used=0.16, threads=5, machine_cpus=2,
    involuntary_ratio=0.4, machine_utilisation=1.0,
)  # fmt: skip
HOGS = WorkloadFigures(
    mean_burst_us=900_000, wakeups_per_s=0.5, cpus_used=1.9, threads=4, machine_cpus=2,
    involuntary_ratio=0.99, machine_utilisation=1.0,
)  # fmt: skip
SHELL = WorkloadFigures(mean_burst_us=400, wakeups_per_s=5, cpus_used=0.002, threads=1)
BUILD = WorkloadFigures(
    mean_burst_us=30_000, wakeups_per_s=30, cpus_used=1.8, threads=12, machine_cpus=2,
    forks_per_s=45, involuntary_ratio=0.7,
)  # fmt: skip
RENDER = WorkloadFigures(
    mean_burst_us=500_000, wakeups_per_s=1, cpus_used=2, threads=8, machine_cpus=2,
    jobs_finished=40, job_longest_ratio=20.0, involuntary_ratio=0.9,
)  # fmt: skip
REQUESTS = WorkloadFigures(
    mean_burst_us=50_000, slice_us=4_000, completions_per_s=40, wakeups_per_s=40, cpus_used=2,
    threads=5, machine_cpus=2, involuntary_ratio=0.92, machine_utilisation=1.0,
    waiting_share=0.05, preempted_share=0.45,
)  # fmt: skip
PIECES = REQUESTS.model_copy(update={"preempted_share": 0.02, "involuntary_ratio": 0.1})
JOBS = REQUESTS.model_copy(update={"forks_per_s": 20.0})
ASLEEP = WorkloadFigures(mean_burst_us=100, wakeups_per_s=0.1, cpus_used=0.00001, threads=1)


@pytest.mark.parametrize(
    ("figures", "has", "has_not"),
    [
        (REDIS, {Tag.LATENCY_SENSITIVE, Tag.SHORT_BURSTS, Tag.OVERCOMMITTED}, {Tag.BATCH}),
        (HOGS, {Tag.BATCH, Tag.CPU_BOUND, Tag.CONTENDED}, {Tag.LATENCY_SENSITIVE, Tag.IDLE}),
        (SHELL, {Tag.INTERACTIVE, Tag.SHORT_BURSTS}, {Tag.LATENCY_SENSITIVE, Tag.IDLE}),
        (BUILD, {Tag.BATCH, Tag.FORK_HEAVY, Tag.CONTENDED}, {Tag.SHORT_BURSTS}),
        (RENDER, {Tag.UNEVEN_JOBS, Tag.CPU_BOUND}, {Tag.FORK_HEAVY}),
        (REQUESTS, {Tag.LONG_BURSTS, Tag.CUT_SHORT}, {Tag.SHORT_BURSTS, Tag.BATCH, Tag.CPU_BOUND}),
        (PIECES, {Tag.LONG_BURSTS}, {Tag.CUT_SHORT, Tag.BATCH, Tag.CPU_BOUND}),
        (JOBS, {Tag.LONG_BURSTS, Tag.BATCH}, {Tag.SHORT_BURSTS}),
        (ASLEEP, {Tag.IDLE}, {Tag.SHORT_BURSTS, Tag.BATCH, Tag.INTERACTIVE}),
    ],
)
def test_familiar_workloads_get_the_tags_one_expects(
    figures: WorkloadFigures, has: set[Tag], has_not: set[Tag]
) -> None:
    """Figures of well-known kinds of workload give the tags of that kind."""
    tags = set(tags_of(figures))
    assert has <= tags
    assert not has_not & tags


@given(
    st.builds(
        WorkloadFigures,
        mean_burst_us=st.floats(0, 1e9),
        wakeups_per_s=st.floats(0, 1e7),
        cpus_used=st.floats(0, 4096),
        threads=st.integers(0, 100_000),
        running_threads=st.floats(0, 4096),
        involuntary_ratio=st.floats(0, 1),
        machine_cpus=st.integers(1, 4096),
    )
)
def test_no_workload_is_both_a_service_and_a_batch(figures: WorkloadFigures) -> None:
    """Any figures give tags, and never the two that contradict each other."""
    tags = tags_of(figures)
    assert not {Tag.LATENCY_SENSITIVE, Tag.BATCH} <= set(tags)
    assert not {Tag.IDLE, Tag.CPU_BOUND} <= set(tags)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"preempted_share": 0.0}, True),
        # Whatever wakes up pushes it aside after a moment: no slice is long enough for that.
        ({"cpus_used": 0.1}, False),
        ({"mean_burst_us": 1_000.0}, False),
        ({"mean_burst_us": 900_000.0}, False),
        ({"unended_share": 0.5}, False),
        ({"completions_per_s": 0.0}, False),
    ],
)
def test_what_runs_to_completion_when_it_is_let(changed: dict[str, float], expected: bool) -> None:
    """Bursts run to completion if they are longer than a slice, short enough to be left running,
    end by themselves, and are cut by slices."""
    assert runs_to_completion(REQUESTS.model_copy(update=changed)) == expected


def test_bursts_from_sleep_to_sleep_are_no_matter_of_starvation() -> None:
    """A starved workload's bursts are certain, and are not replaced by those of another time; the
    rest of its behaviour is in doubt."""
    assert not {Tag.LONG_BURSTS, Tag.CUT_SHORT} & set(understood(REQUESTS).doubtful)
    calm = WorkloadFigures(mean_burst_us=300, wakeups_per_s=700, cpus_used=0.2, threads=5)
    found = understood(REQUESTS, calm=calm)
    assert Tag.LONG_BURSTS in found.tags
    assert Tag.SHORT_BURSTS not in found.tags


@given(
    st.builds(
        WorkloadFigures,
        mean_burst_us=st.floats(0, 1e9),
        slice_us=st.floats(0, 1e9),
        completions_per_s=st.floats(0, 1e6),
        unended_share=st.floats(0, 1),
        waiting_share=st.floats(0, 1),
        preempted_share=st.floats(0, 1),
        wakeups_per_s=st.floats(0, 1e7),
        cpus_used=st.floats(0, 4096),
        forks_per_s=st.floats(0, 1e4),
        involuntary_ratio=st.floats(0, 1),
    )
)
def test_bursts_are_short_or_long_and_only_long_ones_are_cut(figures: WorkloadFigures) -> None:
    """For any figures, bursts are never short and long at once, only long bursts are cut, and what
    runs to completion is long."""
    tags = set(tags_of(figures))
    assert not {Tag.SHORT_BURSTS, Tag.LONG_BURSTS} <= tags
    assert Tag.LONG_BURSTS in tags or Tag.CUT_SHORT not in tags
    assert not runs_to_completion(figures) or ends_by_itself(figures)
    assert 0 <= figures.running_share <= 1


def test_every_tag_has_a_meaning_in_words() -> None:
    """The meaning of every tag can be shown in words."""
    assert set(MEANING) == set(Tag)


STARVED = WorkloadFigures(
    mean_burst_us=28_000, wakeups_per_s=8, cpus_used=0.4, threads=5, machine_cpus=2,
    involuntary_ratio=0.85, machine_utilisation=1.0, delay_p50_us=60_000,
)  # fmt: skip


def said(
    purpose: Purpose, by: PurposeSource = PurposeSource.DECLARED, *, serves: bool = False
) -> PurposeEvidence:
    return PurposeEvidence(purpose, by, "somebody says so", serves=serves)


def test_a_declared_objective_comes_before_everything_else() -> None:
    """A declared latency makes a service of something that looks like a batch, or is known as
    one."""
    bare = understood(STARVED)
    assert {Tag.BATCH, Tag.CPU_BOUND} <= set(bare.tags)
    for others in ((), (said(Purpose.THROUGHPUT, PurposeSource.PROGRAM),)):
        found = understood(STARVED, [*others, said(Purpose.LATENCY)])
        assert Tag.LATENCY_SENSITIVE in found.tags
        assert not {Tag.BATCH, Tag.CPU_BOUND} & set(found.tags)
        assert found.said[0].by is PurposeSource.DECLARED


def test_a_known_program_comes_before_behaviour() -> None:
    """A starving database is a service, and an encoder with short bursts is a batch."""
    served = understood(STARVED, [said(Purpose.LATENCY, PurposeSource.PROGRAM, serves=True)])
    assert {Tag.LATENCY_SENSITIVE, Tag.SERVICE} <= set(served.tags)
    assert Tag.BATCH not in served.tags
    encoder = understood(REDIS, [said(Purpose.THROUGHPUT, PurposeSource.PROGRAM)])
    assert Tag.BATCH in encoder.tags
    assert Tag.LATENCY_SENSITIVE not in encoder.tags
    assert Tag.SHORT_BURSTS in encoder.doubtful


def test_behaviour_from_before_comes_before_what_starvation_makes_of_it() -> None:
    """Behaviour while it got its CPU time says what a workload is; how crowded it is, is measured
    now."""
    calm = WorkloadFigures(mean_burst_us=300, wakeups_per_s=700, cpus_used=0.2, threads=5)
    found = understood(STARVED, calm=calm)
    assert {Tag.LATENCY_SENSITIVE, Tag.SHORT_BURSTS, Tag.CONTENDED} <= set(found.tags)
    assert Tag.BATCH not in found.tags
    assert not found.doubtful


def test_what_is_measured_under_contention_counts_for_less() -> None:
    """If nothing else is known about a workload, it keeps its tags, in doubt."""
    assert {Tag.BATCH, Tag.CPU_BOUND} <= set(understood(STARVED).doubtful)
    assert not understood(SHELL).doubtful


def test_a_service_whose_rate_counts_is_no_batch() -> None:
    """A declared throughput does not mean that delays count, nor that the workload is a batch."""
    found = understood(
        STARVED,
        [said(Purpose.THROUGHPUT), said(Purpose.LATENCY, PurposeSource.PROGRAM, serves=True)],
    )
    assert {Tag.THROUGHPUT, Tag.SERVICE} <= set(found.tags)
    assert not {Tag.BATCH, Tag.CPU_BOUND, Tag.LATENCY_SENSITIVE} & set(found.tags)


def test_several_objectives_all_count() -> None:
    """An objective about delays and one about work give both tags, and no batch."""
    found = understood(STARVED, [said(Purpose.THROUGHPUT), said(Purpose.LATENCY)])
    assert {Tag.THROUGHPUT, Tag.LATENCY_SENSITIVE} <= set(found.tags)
    assert Tag.BATCH not in found.tags


def test_nothing_is_for_threads_of_the_kernel() -> None:
    """Kernel threads never choose a scheduler; crowding of the machine is still reported."""
    found = understood(REDIS, of_the_kernel=True)
    assert not PURPOSES & set(found.tags)
    assert Tag.OVERCOMMITTED in found.tags


@given(
    st.builds(
        WorkloadFigures,
        mean_burst_us=st.floats(0, 1e9),
        wakeups_per_s=st.floats(0, 1e7),
        cpus_used=st.floats(0, 4096),
        threads=st.integers(0, 100_000),
        involuntary_ratio=st.floats(0, 1),
        delay_p50_us=st.floats(0, 1e7),
        machine_utilisation=st.floats(0, 1),
        machine_cpus=st.integers(1, 4096),
    ),
    st.lists(
        st.builds(
            PurposeEvidence, st.sampled_from(Purpose), st.sampled_from(PurposeSource), st.just("so")
        ),
        max_size=4,
    ),
)
def test_whatever_is_said_a_declared_latency_counts(
    figures: WorkloadFigures, others: list[PurposeEvidence]
) -> None:
    """For any figures and any other evidence, the workload is latency-sensitive, no batch, and not
    in doubt."""
    found = understood(figures, [*others, said(Purpose.LATENCY)])
    assert Tag.LATENCY_SENSITIVE in found.tags
    assert Tag.LATENCY_SENSITIVE not in found.doubtful
    declared = {each.purpose for each in others if each.by is PurposeSource.DECLARED}
    assert Tag.BATCH not in found.tags or Purpose.MAKESPAN in declared
