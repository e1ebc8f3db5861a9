# SPDX-License-Identifier: GPL-2.0-or-later
"""Retrieval: the right scheduler comes first, with reasons."""

import pytest

from scheduler_library.catalog import load_catalog
from scheduler_library.profile import Tag, WorkloadFigures, WorkloadProfile
from scheduler_library.retrieval import Match, rank_for_tags, search

ENTRIES = tuple(load_catalog())


def names(matches: list[Match]) -> list[str]:
    return [match.entry.name for match in matches]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("redis tail latency beside cpu hogs", "latency"),
        ("video encoding and compilation", "batch"),
        ("longest job first, makespan", "jobs"),
        ("per-LLC queues with work stealing", "locality"),
        ("weighted virtual time", "fair"),
        ("scx_lavd", "scx_lavd"),
        ("games", "scx_lavd"),
    ],
)
def test_a_query_in_words_finds_the_entry_made_for_it(query: str, first: str) -> None:
    """A person's words find the fitting scheduler first."""
    assert names(search(ENTRIES, query))[0] == first


def test_words_in_bad_for_count_against_an_entry() -> None:
    """An entry that warns about the query's words ranks below zero, and says so."""
    found = {match.entry.name: match for match in search(ENTRIES, "interactive")}
    assert found["batch"].score < 0
    assert any("bad for" in reason for reason in found["batch"].reasons)
    assert found["latency"].score > 0


def test_an_empty_query_lists_everything_by_name() -> None:
    """A search without words gives the whole list."""
    assert names(search(ENTRIES, "  of the ", limit=100)) == sorted(e.name for e in ENTRIES)


def test_a_query_that_matches_nothing_finds_nothing() -> None:
    """A search never makes up matches."""
    assert search(ENTRIES, "zzzz qqqq") == []


@pytest.mark.parametrize(
    ("tags", "first"),
    [
        ([Tag.LATENCY_SENSITIVE, Tag.SHORT_BURSTS, Tag.CONTENDED], "latency"),
        ([Tag.BATCH, Tag.CPU_BOUND, Tag.OVERCOMMITTED], "batch"),
        ([Tag.UNEVEN_JOBS, Tag.CPU_BOUND], "jobs"),
        ([Tag.MIGRATION_HEAVY, Tag.MANY_THREADS], "locality"),
    ],
)
def test_a_profiles_tags_find_the_entry_made_for_them(tags: list[Tag], first: str) -> None:
    """A measured workload is matched to the scheduler made for its kind."""
    own = [entry for entry in ENTRIES if entry.manifest.source]
    assert names(rank_for_tags(own, tags))[0] == first


def test_a_profile_leads_from_figures_to_a_scheduler() -> None:
    """A service with short bursts under contention is led to the latency scheduler."""
    figures = WorkloadFigures(
        mean_burst_us=180, wakeups_per_s=400, cpus_used=0.1, threads=4, involuntary_ratio=0.6
    )
    profile = WorkloadProfile.measured("/system.slice/redis.service", figures)
    best = rank_for_tags(ENTRIES, profile.tags)[0]
    assert best.entry.name == "latency"
    assert "good for latency-sensitive workloads" in best.reasons
