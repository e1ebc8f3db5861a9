# SPDX-License-Identifier: GPL-2.0-or-later
"""The transcripts of episodes: what an advisor said and did, step by step, bounded.

If one is too long, a reader wants to see its beginning and its end: the first steps stay, and of
the rest the last. Numbers are not reused, so that a gap shows.
"""

from dataclasses import dataclass

from scheduler_library.history import History

# Limits for one episode: steps in all, first steps that are never dropped, and characters.
MOST_STEPS = 300
FIRST_KEPT = 40
MOST_CHARACTERS = 256 * 1024


@dataclass(frozen=True)
class TranscriptStep:
    """One step. `at`: Unix seconds; `tokens`: the cost of a model's reply, in and out."""

    at: float
    role: str
    kind: str
    tool: str = ""
    text: str = ""
    tokens: int = 0
    number: int = 0


def add(store: History, episode: str, step: TranscriptStep) -> None:
    """Record a step as the next of its episode; if there are too many, middle ones are removed.

    Raises:
        Fault: STATE if there is no such episode.
    """
    store.write(
        "INSERT INTO steps SELECT ?1, 1 + COALESCE(MAX(number), 0), ?2, ?3, ?4, ?5, ?6, ?7 "
        "FROM steps WHERE episode = ?1",
        (episode, step.at, step.role, step.kind, step.tool, step.text, step.tokens),
    )
    # From the newest back, as many as the limits leave beside the first ones.
    store.write(
        "DELETE FROM steps WHERE episode = ?1 AND number > ?2 AND number IN ("
        "SELECT number FROM (SELECT number, COUNT(*) OVER newest AS steps, "
        "SUM(LENGTH(text) + LENGTH(tool)) OVER newest AS characters FROM steps "
        "WHERE episode = ?1 AND number > ?2 WINDOW newest AS (ORDER BY number DESC)) "
        "WHERE steps > ?3 OR characters > ?4)",
        (
            episode,
            FIRST_KEPT,
            MOST_STEPS - FIRST_KEPT,
            MOST_CHARACTERS
            - sum(len(each.text) + len(each.tool) for each in _first(store, episode)),
        ),
    )


def steps(store: History, episode: str) -> list[TranscriptStep]:
    """The stored ones, oldest first."""
    return _read(store, "episode = ?", (episode,))


def _first(store: History, episode: str) -> list[TranscriptStep]:
    return _read(store, "episode = ? AND number <= ?", (episode, FIRST_KEPT))


def _read(store: History, condition: str, values: tuple[object, ...]) -> list[TranscriptStep]:
    rows = store.rows(
        "SELECT at, role, kind, tool, text, tokens, number FROM steps "  # noqa: S608 - ours alone
        f"WHERE {condition} ORDER BY number",
        values,
    )
    return [TranscriptStep(*row) for row in rows]
