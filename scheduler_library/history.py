# SPDX-License-Identifier: GPL-2.0-or-later
"""What was tried, and the results: the library's memory, in one SQLite file.

The history never stops the service: a corrupt file is set aside and a fresh one started; if nothing
can be written, the history stays in memory, marked `degraded`, with the reason. If a write fails
later (the disk is full), the same happens with its content.

One process writes, the daemon; several of its threads may use one `History`.
"""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from process import Fault, FaultType
from scheduler_library.history_schema import upgrade
from scheduler_library.parameters import Value

FILE = "history.sqlite"
# Windows are most of the file: about 300 bytes each, some twenty for each trial.
KEPT_WINDOWS = 50_000
KEPT_EPISODES = 5_000
KEPT_PROFILES = 10_000
KEPT_LESSONS = 2_000
KEPT_RUNTIMES = 10_000
# How long a write waits for a reader that locks the file (the command, a person), seconds.
BUSY_TIMEOUT_S = 2.0


class Arm(StrEnum):
    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Decision(StrEnum):
    KEEP = "keep"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class ProfileRecord:
    """A workload as it was measured once. `at`: Unix seconds, here and below."""

    id: str
    at: float
    workload: str
    tags: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateRecord:
    """An immutable thing that might be loaded. `params` are only those that were set."""

    id: str
    at: float
    scheduler: str
    kind: str
    params: Mapping[str, Value] = field(default_factory=dict)
    source_sha256: str = ""
    parent: str = ""


@dataclass(frozen=True)
class EpisodeRecord:
    """From an event to the decision. `profile` is a profile's id or None."""

    id: str
    started_at: float
    workload: str
    reason: str
    profile: str | None = None
    ended_at: float | None = None
    outcome: str = ""


@dataclass(frozen=True)
class GateRecord:
    """One gate's result for a candidate; `seconds` is its duration."""

    candidate: str
    gate: str
    at: float
    passed: bool
    seconds: float
    message: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialRecord:
    id: str
    episode: str
    candidate: str
    started_at: float
    objective: str
    state: str = "running"
    ended_at: float | None = None


@dataclass(frozen=True)
class Window:
    """One period of one arm of a trial; `objective` is the figure judged, None if not seen."""

    trial: str
    number: int
    arm: Arm
    started_at: float
    seconds: float
    objective: float | None = None
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class VerdictRecord:
    """`gain` is relative (0.25: a quarter better than the baseline), in `low` to `high`."""

    trial: str
    at: float
    decision: Decision
    gain: float
    low: float
    high: float
    reason: str


@dataclass(frozen=True)
class LessonRecord:
    at: float
    author: str
    text: str
    tags: tuple[str, ...] = ()
    episode: str | None = None


@dataclass(frozen=True)
class ChoiceOutcomes:
    """The results of one choice (scheduler and parameters) on workloads with given tags.

    `gains`, `decisions`, `times` (Unix seconds), `objectives` and `bounds` of the gains have one
    entry for each verdict, oldest first.
    """

    scheduler: str
    params: Mapping[str, Value]
    tags: tuple[str, ...]
    gains: tuple[float, ...]
    kept: int
    rolled_back: int
    decisions: tuple[Decision, ...] = ()
    times: tuple[float, ...] = ()
    objectives: tuple[str, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class RuntimeRecord:
    """How long a program with certain arguments runs, CPU time in ns.

    `arguments` is a hash: the arguments themselves may contain secrets and are stored nowhere.
    `at`: its last run.
    """

    program: str
    arguments: str
    mean_ns: float
    spread_ns: float
    count: int
    at: float


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class History:
    """The open history. Made by `open_history`.

    Attributes:
        degraded: why it is in memory only, or None if it is on disk.
    """

    def __init__(self, database: sqlite3.Connection, degraded: Fault | None = None) -> None:
        self._database = database
        self._lock = threading.RLock()
        self.degraded = degraded

    def close(self) -> None:
        with self._lock, contextlib.suppress(sqlite3.Error):
            self._database.close()

    # -- writing ---------------------------------------------------------------------

    def _write(self, statement: str, values: Sequence[object]) -> None:
        """One statement, one transaction. See `_write_all`."""
        self._write_all(statement, [values])

    def write(self, statement: str, values: Sequence[object]) -> None:
        """One statement for a table that has a module of its own. See `_write_all`."""
        self._write(statement, values)

    def rows(self, query: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        """A query from a module with a table of its own."""
        return self._rows(query, values)

    def _write_all(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """One statement for each row, one transaction. Falls back to memory if the disk fails.

        Raises:
            Fault: STATE if a record contradicts existing ones (an unknown episode).
        """
        with self._lock:
            try:
                with self._database:
                    self._database.executemany(statement, rows)
            except sqlite3.IntegrityError as error:
                raise Fault(
                    FaultType.STATE,
                    "this record does not fit the history",
                    why=str(error),
                    hint="record the episode, profile or candidate that it refers to first",
                ) from None
            except sqlite3.DatabaseError as error:
                self._to_memory(error)
                with self._database:
                    self._database.executemany(statement, rows)

    def _to_memory(self, error: sqlite3.DatabaseError) -> None:
        """Continue in memory, with as much of the content as can still be read."""
        if self.degraded:
            raise error
        memory = _connect(":memory:")
        try:
            self._database.backup(memory)
            upgrade(memory)
        except sqlite3.Error:
            memory.close()
            memory = _connect(":memory:")
            upgrade(memory)
        with contextlib.suppress(sqlite3.Error):
            self._database.close()
        self._database = memory
        self.degraded = _memory_fault("the history file", error)

    def add_profile(self, profile: ProfileRecord) -> None:
        self._write(
            "INSERT OR IGNORE INTO profiles VALUES (?, ?, ?, ?, ?)",
            (
                profile.id,
                profile.at,
                profile.workload,
                _json(sorted(profile.tags)),
                _json(dict(profile.figures)),
            ),
        )

    def add_candidate(self, candidate: CandidateRecord) -> None:
        """Record a candidate; an existing one stays as it was."""
        self._write(
            "INSERT OR IGNORE INTO candidates VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                candidate.id,
                candidate.at,
                candidate.scheduler,
                candidate.kind,
                _json(dict(candidate.params)),
                candidate.source_sha256,
                candidate.parent,
            ),
        )

    def add_episode(self, episode: EpisodeRecord) -> None:
        self._write(
            "INSERT INTO episodes VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                episode.id,
                episode.started_at,
                episode.ended_at,
                episode.workload,
                episode.profile,
                episode.reason,
                episode.outcome,
            ),
        )

    def end_episode(self, id: str, at: float, outcome: str) -> None:
        self._write("UPDATE episodes SET ended_at = ?, outcome = ? WHERE id = ?", (at, outcome, id))

    def add_gate(self, gate: GateRecord) -> None:
        self._write(
            "INSERT INTO gates VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                gate.candidate,
                gate.gate,
                gate.at,
                gate.passed,
                gate.seconds,
                _json(dict(gate.figures)),
                gate.message,
            ),
        )

    def add_trial(self, trial: TrialRecord) -> None:
        self._write(
            "INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                trial.id,
                trial.episode,
                trial.candidate,
                trial.started_at,
                trial.ended_at,
                trial.objective,
                trial.state,
            ),
        )

    def end_trial(self, id: str, at: float, state: str) -> None:
        self._write("UPDATE trials SET ended_at = ?, state = ? WHERE id = ?", (at, state, id))

    def add_window(self, window: Window) -> None:
        self._write(
            "INSERT INTO windows VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                window.trial,
                window.number,
                window.arm.value,
                window.started_at,
                window.seconds,
                window.objective,
                _json(dict(window.figures)),
            ),
        )

    def add_verdict(self, verdict: VerdictRecord) -> None:
        self._write(
            "INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                verdict.trial,
                verdict.at,
                verdict.decision.value,
                verdict.gain,
                verdict.low,
                verdict.high,
                verdict.reason,
            ),
        )

    def add_lesson(self, lesson: LessonRecord) -> None:
        self._write(
            "INSERT INTO lessons (at, author, text, tags, episode) VALUES (?, ?, ?, ?, ?)",
            (lesson.at, lesson.author, lesson.text, _json(sorted(lesson.tags)), lesson.episode),
        )

    def drop_lessons(self) -> None:
        """Remove all: they are in the file of lessons now."""
        self._write("DELETE FROM lessons", ())

    def put_runtimes(self, runtimes: Iterable[RuntimeRecord]) -> None:
        """Store the current knowledge of these, replacing the old; the oldest of all
        are removed.
        """
        self._write_all(
            "INSERT OR REPLACE INTO runtimes VALUES (?, ?, ?, ?, ?, ?)",
            [
                (each.program, each.arguments, each.mean_ns, each.spread_ns, each.count, each.at)
                for each in runtimes
            ],
        )
        self._write(
            "DELETE FROM runtimes WHERE (program, arguments) IN (SELECT program, arguments "
            "FROM runtimes ORDER BY at DESC LIMIT -1 OFFSET ?)",
            (KEPT_RUNTIMES,),
        )

    def put_view(self, id: str, at: float, view: str) -> None:
        """Store an episode or trial (JSON) as it is shown, so that it can be shown again later.

        The other tables answer questions about many records; this one keeps the whole story of one,
        however later versions change the tables.
        """
        self._write("INSERT OR REPLACE INTO views VALUES (?, ?, ?)", (id, at, view))

    def view(self, id: str) -> str | None:
        """What `put_view` stored last."""
        for row in self._rows("SELECT view FROM views WHERE id = ?", (id,)):
            return str(row[0])
        return None

    def prune(self) -> None:
        """Remove the oldest beyond the limits; verdicts outlive their windows."""
        for statement, kept in (
            (
                "DELETE FROM windows WHERE rowid IN (SELECT rowid FROM windows "
                "ORDER BY started_at DESC LIMIT -1 OFFSET ?)",
                KEPT_WINDOWS,
            ),
            (
                "DELETE FROM episodes WHERE id IN (SELECT id FROM episodes "
                "ORDER BY started_at DESC LIMIT -1 OFFSET ?)",
                KEPT_EPISODES,
            ),
            (
                "DELETE FROM profiles WHERE id NOT IN (SELECT profile FROM episodes "
                "WHERE profile IS NOT NULL) AND id IN (SELECT id FROM profiles "
                "ORDER BY at DESC LIMIT -1 OFFSET ?)",
                KEPT_PROFILES,
            ),
            (
                "DELETE FROM views WHERE id IN (SELECT id FROM views "
                "ORDER BY at DESC LIMIT -1 OFFSET ?)",
                2 * KEPT_EPISODES,
            ),
            (
                "DELETE FROM lessons WHERE id IN (SELECT id FROM lessons "
                "ORDER BY at DESC LIMIT -1 OFFSET ?)",
                KEPT_LESSONS,
            ),
        ):
            self._write(statement, (kept,))

    # -- reading ---------------------------------------------------------------------

    def _rows(self, query: str, values: Iterable[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._database.execute(query, tuple(values)).fetchall()
            except sqlite3.DatabaseError as error:
                self._to_memory(error)
                return self._database.execute(query, tuple(values)).fetchall()

    def profile(self, id: str) -> ProfileRecord | None:
        for row in self._rows(
            "SELECT id, at, workload, tags, figures FROM profiles WHERE id = ?", (id,)
        ):
            return ProfileRecord(
                row[0], row[1], row[2], tuple(json.loads(row[3])), json.loads(row[4])
            )
        return None

    def candidate(self, id: str) -> CandidateRecord | None:
        for row in self._rows(
            "SELECT id, at, scheduler, kind, params, source_sha256, parent FROM candidates "
            "WHERE id = ?",
            (id,),
        ):
            return CandidateRecord(
                row[0], row[1], row[2], row[3], json.loads(row[4]), row[5], row[6]
            )
        return None

    def episodes(self, limit: int = 50) -> list[EpisodeRecord]:
        """The latest episodes, newest first."""
        return [
            EpisodeRecord(*row)
            for row in self._rows(
                "SELECT id, started_at, workload, reason, profile, ended_at, outcome "
                "FROM episodes ORDER BY started_at DESC LIMIT ?",
                (limit,),
            )
        ]

    def episode(self, id: str) -> EpisodeRecord | None:
        for row in self._rows(
            "SELECT id, started_at, workload, reason, profile, ended_at, outcome "
            "FROM episodes WHERE id = ?",
            (id,),
        ):
            return EpisodeRecord(*row)
        return None

    def gates(self, candidate: str) -> list[GateRecord]:
        return [
            GateRecord(row[0], row[1], row[2], bool(row[3]), row[4], row[5], json.loads(row[6]))
            for row in self._rows(
                "SELECT candidate, gate, at, passed, seconds, message, figures FROM gates "
                "WHERE candidate = ? ORDER BY rowid",
                (candidate,),
            )
        ]

    def trials(self, episode: str) -> list[TrialRecord]:
        return [
            TrialRecord(*row)
            for row in self._rows(
                "SELECT id, episode, candidate, started_at, objective, state, ended_at "
                "FROM trials WHERE episode = ? ORDER BY started_at",
                (episode,),
            )
        ]

    def windows(self, trial: str) -> list[Window]:
        return [
            Window(row[0], row[1], Arm(row[2]), row[3], row[4], row[5], json.loads(row[6]))
            for row in self._rows(
                "SELECT trial, number, arm, started_at, seconds, objective, figures "
                "FROM windows WHERE trial = ? ORDER BY number",
                (trial,),
            )
        ]

    def verdict(self, trial: str) -> VerdictRecord | None:
        for row in self._rows(
            "SELECT trial, at, decision, gain, low, high, reason FROM verdicts WHERE trial = ?",
            (trial,),
        ):
            return VerdictRecord(row[0], row[1], Decision(row[2]), *row[3:])
        return None

    def lessons(self, limit: int = 50) -> list[LessonRecord]:
        """The latest lessons, newest first."""
        return [
            LessonRecord(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4])
            for row in self._rows(
                "SELECT at, author, text, tags, episode FROM lessons ORDER BY at DESC LIMIT ?",
                (limit,),
            )
        ]

    def runtimes(self) -> list[RuntimeRecord]:
        """All that are stored, oldest first."""
        return [
            RuntimeRecord(*row)
            for row in self._rows(
                "SELECT program, arguments, mean_ns, spread_ns, count, at FROM runtimes ORDER BY at"
            )
        ]

    def outcomes(self, tags: Iterable[str] = ()) -> list[ChoiceOutcomes]:
        """For each profile's tags, scheduler and parameters: the gains of all verdicts.

        Args:
            tags: only workloads that share at least one of these; none means all.

        Newest gains last.
        """
        wanted = {str(tag) for tag in tags}
        groups: dict[tuple[str, str, str], list[tuple[str, float, float, str, float, float]]] = {}
        for row in self._rows(
            "SELECT c.scheduler, c.params, coalesce(p.tags, '[]'), v.decision, v.gain, v.at, "
            "t.objective, v.low, v.high FROM verdicts v JOIN trials t ON t.id = v.trial "
            "JOIN candidates c ON c.id = t.candidate JOIN episodes e ON e.id = t.episode "
            "LEFT JOIN profiles p ON p.id = e.profile ORDER BY v.at"
        ):
            groups.setdefault(row[:3], []).append(row[3:])
        found = []
        for (scheduler, params, tag_text), verdicts in groups.items():
            these = tuple(json.loads(tag_text))
            if wanted and not wanted & set(these):
                continue
            decisions = tuple(Decision(decision) for decision, *_ in verdicts)
            found.append(
                ChoiceOutcomes(
                    scheduler,
                    json.loads(params),
                    these,
                    tuple(gain for _, gain, *_ in verdicts),
                    decisions.count(Decision.KEEP),
                    decisions.count(Decision.ROLLBACK),
                    decisions,
                    tuple(at for _, _, at, *_ in verdicts),
                    tuple(objective for *_, objective, _, _ in verdicts),
                    tuple((low, high) for *_, low, high in verdicts),
                )
            )
        return found


@dataclass(frozen=True)
class Opened:
    """The history, and the notes about opening it, each for the journal."""

    history: History
    notes: tuple[Fault, ...] = ()


def _connect(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    database.execute("PRAGMA foreign_keys = ON")
    return database


def _memory_fault(where: str, error: Exception) -> Fault:
    return Fault(
        FaultType.STATE,
        "the history cannot be written; it is kept in memory until the next start",
        where=where,
        why=str(error),
        hint="free space, or make the state folder writable, then restart the daemon",
    )


def _open_file(path: Path) -> sqlite3.Connection:
    """Open, check and upgrade the file.

    Raises:
        sqlite3.DatabaseError: damaged, not a database, or not writable.
        OSError: the folder cannot be used.
    """
    database = _connect(str(path))
    try:
        database.execute("PRAGMA journal_mode = WAL")
        # With WAL, NORMAL loses at most the last commits in a power cut, never the file.
        database.execute("PRAGMA synchronous = NORMAL")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {verdict}")
        upgrade(database)
        # The lock is taken and released, so that a read-only file or folder shows now and not in a
        # trial.
        database.execute("BEGIN IMMEDIATE")
        database.execute("CREATE TABLE write_probe (x)")
        database.rollback()
    except BaseException:
        database.close()
        raise
    path.chmod(0o640)
    return database


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is bad. Otherwise its place is: full, read-only, or in use."""
    return not isinstance(error, sqlite3.OperationalError)


def _set_aside(path: Path) -> Path:
    """Move a bad file away, with its write-ahead log; returns its new path."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    path.rename(aside)
    for ending in ("-wal", "-shm"):
        log = path.with_name(path.name + ending)
        if log.exists():
            log.rename(aside.with_name(aside.name + ending))
    return aside


def open_history(path: Path) -> Opened:
    """Open the history file, creating it if it does not exist. Never raises for its state.

    A damaged file is set aside as `NAME.corrupt-<UTC time>` and a fresh one started. If nothing can
    be written, the history is in memory and `degraded` has the reason.
    """
    notes: list[Fault] = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise OSError(f"{path} is not an ordinary file")
        try:
            return Opened(History(_open_file(path)))
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            aside = _set_aside(path)
            notes.append(
                Fault(
                    FaultType.STATE,
                    "the history file was corrupt; it was set aside and a fresh one started",
                    where=str(path),
                    why=str(error),
                    hint=(
                        f"the old file is {aside}; remove it, or repair it with sqlite3's .recover"
                    ),
                )
            )
            return Opened(History(_open_file(path)), tuple(notes))
    except (sqlite3.Error, OSError) as error:
        memory = _connect(":memory:")
        upgrade(memory)
        fault = _memory_fault(str(path), error)
        return Opened(History(memory, fault), (*notes, fault))
