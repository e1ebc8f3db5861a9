# SPDX-License-Identifier: GPL-2.0-or-later
"""The history's records for learning: verdicts as evidence, and how search weights moved."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler_library.history import Decision, History
from scheduler_library.parameters import Value

KEPT_MOVES = 500


@dataclass(frozen=True)
class VerdictEvidence:
    """One verdict with everything that learning needs.

    `parent`: of the candidate; `objective`: the figure that decided.
    """

    trial: str
    episode: str
    at: float
    scheduler: str
    params: Mapping[str, Value]
    parent: str
    workload: str
    tags: tuple[str, ...]
    figures: Mapping[str, Any]
    decision: Decision
    gain: float
    low: float
    high: float
    objective: str = ""


@dataclass(frozen=True)
class Move:
    """How one trial moved the search weights.

    `weights` are those after it; `expected` was the chance of a keep before.
    """

    trial: str
    at: float
    scheduler: str
    kept: bool
    expected: float
    weights: Mapping[str, float]
    moved: Mapping[str, float]


def evidence(store: History, limit: int = 2000) -> list[VerdictEvidence]:
    """The latest verdicts, newest first, each with its workload as measured then."""
    return [
        VerdictEvidence(
            trial=row[0],
            episode=row[1],
            at=row[2],
            scheduler=row[3],
            params=json.loads(row[4]),
            parent=row[5],
            workload=row[6],
            tags=tuple(json.loads(row[7])),
            figures=json.loads(row[8]),
            decision=Decision(row[9]),
            gain=row[10],
            low=row[11],
            high=row[12],
            objective=row[13],
        )
        for row in store.rows(
            "SELECT v.trial, t.episode, v.at, c.scheduler, c.params, c.parent, e.workload, "
            "coalesce(p.tags, '[]'), coalesce(p.figures, '{}'), v.decision, v.gain, v.low, "
            "v.high, t.objective FROM verdicts v JOIN trials t ON t.id = v.trial "
            "JOIN candidates c ON c.id = t.candidate JOIN episodes e ON e.id = t.episode "
            "LEFT JOIN profiles p ON p.id = e.profile ORDER BY v.at DESC LIMIT ?",
            (limit,),
        )
    ]


def add_move(store: History, move: Move) -> None:
    """Record a move of the weights; a trial moves them once. The oldest of all are removed."""
    store.write(
        "INSERT OR IGNORE INTO moves VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            move.trial,
            move.at,
            move.scheduler,
            move.kept,
            move.expected,
            json.dumps(dict(move.weights), sort_keys=True),
            json.dumps(dict(move.moved), sort_keys=True),
        ),
    )
    store.write(
        "DELETE FROM moves WHERE trial IN (SELECT trial FROM moves "
        "ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)",
        (KEPT_MOVES,),
    )


def moves(store: History, limit: int = KEPT_MOVES) -> list[Move]:
    """The latest moves of the weights, newest first."""
    return [
        Move(row[0], row[1], row[2], bool(row[3]), row[4], json.loads(row[5]), json.loads(row[6]))
        for row in store.rows(
            "SELECT trial, at, scheduler, kept, expected, weights, moved FROM moves "
            "ORDER BY at DESC, rowid DESC LIMIT ?",
            (limit,),
        )
    ]
