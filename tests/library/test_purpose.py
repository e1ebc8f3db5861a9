# SPDX-License-Identifier: GPL-2.0-or-later
"""What a workload should be good at, according to an objective or a person's sentence."""

import pytest

from scheduler_library.purpose import Purpose, purpose_of, purpose_of_goal


@pytest.mark.parametrize(
    "text",
    [
        "latency p99 < 10ms",
        "latency mean",
        "response p99 < 5ms",
        "measurement redis-p99 lower",
        "measurement frame_time lower < 16.7 ms",
        "measurement request_duration lower",
        "measurement checkout lower < 20 ms",
        "measurement checkout lower < 0.3 s",
        "measurement startup_ms lower",
        "measurement xruns lower",
        "measurement deadlines_met higher",
    ],
)
def test_delays_are_latency(text: str) -> None:
    """An objective means latency by its word, its name or its unit."""
    assert purpose_of(text) is Purpose.LATENCY


@pytest.mark.parametrize(
    "text",
    [
        "throughput",
        "throughput > 100/s",
        "completions higher",
        "cpu > 150%",
        "measurement requests higher",
        "measurement transactions_per_s higher > 900",
        "measurement points higher",
    ],
)
def test_what_is_to_be_more_is_throughput(text: str) -> None:
    """An objective to have more of something means throughput, whatever is counted."""
    assert purpose_of(text) is Purpose.THROUGHPUT


@pytest.mark.parametrize(
    "text",
    [
        "makespan lower",
        "measurement makespan lower",
        "measurement build_time lower",
        "measurement night-batch lower < 40 min",
        "measurement nightly lower < 90 s",
    ],
)
def test_the_end_of_all_work_is_makespan(text: str) -> None:
    """Its name shows it, or a unit in which nobody measures a wait."""
    assert purpose_of(text) is Purpose.MAKESPAN


@pytest.mark.parametrize("text", ["measurement score lower", "measurement fps higher > 60", ""])
def test_what_does_not_tell_is_not_guessed(text: str) -> None:
    """A name without a hint says nothing. For frames, a game wants an even rate and an encoder
    many."""
    assert purpose_of(text) is None


@pytest.mark.parametrize(
    ("goal", "purpose"),
    [
        ("latency of nginx is too high", Purpose.LATENCY),
        ("users say that it answers slowly", Purpose.LATENCY),
        ("the game stutters", Purpose.LATENCY),
        ("I want more requests per second", Purpose.THROUGHPUT),
        ("I want all of them done sooner", Purpose.MAKESPAN),
        ("measurement requests higher", Purpose.THROUGHPUT),
        (
            "finish sooner: render --frames 9 (measured by `measurement run-s lower`)",
            Purpose.MAKESPAN,
        ),
        ("make it better", None),
    ],
)
def test_a_sentence_tells_by_a_word(goal: str, purpose: Purpose | None) -> None:
    """A request in plain words is understood, or it stays open."""
    assert purpose_of_goal(goal) is purpose
