# SPDX-License-Identifier: GPL-2.0-or-later
"""What counts in a search, and how outcomes change it."""

import random
from types import MappingProxyType

import pytest

from scheduler_library.catalog import load_catalog
from scheduler_library.learning.bandit import Belief
from scheduler_library.learning.weights import (
    LEAST,
    MEASURED,
    PRIOR,
    TAGS,
    TOLD,
    WORDS,
    adjusted,
    total,
)
from scheduler_library.retrieval import HistoryKnowledge, find

ENTRIES = tuple(load_catalog())
OTHERS = [{WORDS: 0.0, TAGS: 0.0, MEASURED: 0.0, TOLD: 0.0}] * 4


def test_what_spoke_for_a_keep_counts_more_and_for_a_rollback_less() -> None:
    """One outcome changes the weights of those features that set the entry apart from the
    others."""
    spoke = {WORDS: 0.0, TAGS: 0.0, MEASURED: 1.0, TOLD: 0.0}
    up = adjusted(PRIOR, spoke, [*OTHERS, spoke], kept=True)
    down = adjusted(PRIOR, spoke, [*OTHERS, spoke], kept=False)
    assert up.weights[MEASURED] > PRIOR[MEASURED] > down.weights[MEASURED]
    assert up.moved[MEASURED] == pytest.approx(up.weights[MEASURED] - PRIOR[MEASURED])


def test_what_all_have_in_common_explains_nothing() -> None:
    """A feature that every entry has to the same degree does not change."""
    alike = [{WORDS: 0.7}] * 5
    step = adjusted(PRIOR, alike[0], alike, kept=True)
    assert all(abs(by) < 0.01 for by in step.moved.values())


def test_evidence_that_misleads_loses_its_weight_and_is_never_lost() -> None:
    """After many outcomes the misleading words count little and the correct measurements count
    much; the weights stay positive, and their sum is 1."""
    chance = random.Random(7)  # noqa: S311
    weights = dict(PRIOR)
    for _ in range(300):
        truth = chance.random() < 0.5
        tried = {
            WORDS: chance.uniform(-1, 1),
            TAGS: chance.uniform(-1, 1),
            MEASURED: 0.8 if truth else -0.8,
            TOLD: 0.0,
        }
        weights = dict(adjusted(weights, tried, [*OTHERS, tried], kept=truth).weights)
        assert sum(weights.values()) == pytest.approx(1.0)
        assert min(weights.values()) >= LEAST / 1.2
    assert weights[MEASURED] > 0.5
    assert weights[WORDS] < PRIOR[WORDS]


def _first(query: str, tags: tuple[str, ...], known: HistoryKnowledge) -> str:
    return find(ENTRIES, query, tags, known)[0].entry.name


def test_a_search_joins_words_tags_measurements_and_lessons() -> None:
    """Each kind of evidence can raise an entry; measurements can reverse what the page says."""
    assert _first("redis tail latency", (), HistoryKnowledge()) == "latency"
    assert _first("", ("uneven-jobs", "batch"), HistoryKnowledge()) == "jobs"
    lost = Belief(0.2, -0.3, 0.02, observations=6, weight=5.0)
    won = Belief(0.0, 0.3, 0.02, observations=6, kept=6, weight=5.0)
    known = HistoryKnowledge(
        {"latency": lost, "locality": won},
        weights={WORDS: 0.1, TAGS: 0.1, MEASURED: 0.7, TOLD: 0.1},
    )
    assert _first("", ("latency-sensitive", "short-bursts"), known) == "locality"
    told = HistoryKnowledge(told={"fifo": "fifo helped the zebra queue"})
    assert _first("zebra", (), told) == "fifo"


def test_a_search_says_why() -> None:
    """Each kind of evidence that counted is in the answer, with its figure."""
    held = Belief(0.2, 0.25, 0.02, observations=3, kept=3, weight=3.0)
    known = HistoryKnowledge(
        {"latency": held}, {"latency": "latency helps latency-sensitive services"}
    )
    found = find(ENTRIES, "", ("latency-sensitive",), known)[0]
    assert found.entry.name == "latency"
    assert any("good for latency-sensitive" in each for each in found.reasons)
    assert any("+25% expected (3 observations, 3 kept)" in each for each in found.reasons)
    assert any("lessons" in each for each in found.reasons)
    assert found.score == pytest.approx(total(PRIOR, found.features), abs=1e-4)


def test_nothing_is_found_where_nothing_speaks() -> None:
    """A search never makes up matches, with or without a history."""
    assert find(ENTRIES, "zzzz qqqq", (), HistoryKnowledge(MappingProxyType({}))) == []
