# SPDX-License-Identifier: GPL-2.0-or-later
"""The tables of the history file, and the upgrade of older files.

The first N steps of `STEPS` make version N of the schema; a released step is never changed, only
followed by another. Times are Unix seconds (real), structured values JSON texts. All records of an
episode refer to it, so that removing one removes them.
"""

import sqlite3

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE profiles (
        id TEXT PRIMARY KEY, at REAL NOT NULL, workload TEXT NOT NULL,
        tags TEXT NOT NULL, figures TEXT NOT NULL
    );
    CREATE TABLE candidates (
        id TEXT PRIMARY KEY, at REAL NOT NULL, scheduler TEXT NOT NULL, kind TEXT NOT NULL,
        params TEXT NOT NULL, source_sha256 TEXT NOT NULL, parent TEXT NOT NULL
    );
    CREATE TABLE episodes (
        id TEXT PRIMARY KEY, started_at REAL NOT NULL, ended_at REAL, workload TEXT NOT NULL,
        profile TEXT REFERENCES profiles(id), reason TEXT NOT NULL, outcome TEXT NOT NULL
    );
    CREATE TABLE gates (
        candidate TEXT NOT NULL REFERENCES candidates(id) ON DELETE CASCADE,
        gate TEXT NOT NULL, at REAL NOT NULL, passed INTEGER NOT NULL, seconds REAL NOT NULL,
        figures TEXT NOT NULL, message TEXT NOT NULL
    );
    CREATE TABLE trials (
        id TEXT PRIMARY KEY,
        episode TEXT NOT NULL REFERENCES episodes(id) ON DELETE CASCADE,
        candidate TEXT NOT NULL REFERENCES candidates(id),
        started_at REAL NOT NULL, ended_at REAL, objective TEXT NOT NULL, state TEXT NOT NULL
    );
    CREATE TABLE windows (
        trial TEXT NOT NULL REFERENCES trials(id) ON DELETE CASCADE,
        number INTEGER NOT NULL, arm TEXT NOT NULL, started_at REAL NOT NULL,
        seconds REAL NOT NULL, objective REAL, figures TEXT NOT NULL,
        PRIMARY KEY (trial, number)
    );
    CREATE TABLE verdicts (
        trial TEXT PRIMARY KEY REFERENCES trials(id) ON DELETE CASCADE,
        at REAL NOT NULL, decision TEXT NOT NULL, gain REAL NOT NULL,
        low REAL NOT NULL, high REAL NOT NULL, reason TEXT NOT NULL
    );
    CREATE TABLE lessons (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL,
        tags TEXT NOT NULL, episode TEXT REFERENCES episodes(id) ON DELETE SET NULL
    );
    CREATE TABLE quarantine (
        candidate TEXT PRIMARY KEY, at REAL NOT NULL, until REAL, cause TEXT NOT NULL
    );
    CREATE TABLE cost (
        episode TEXT NOT NULL REFERENCES episodes(id) ON DELETE CASCADE,
        at REAL NOT NULL, calls INTEGER NOT NULL, tokens INTEGER NOT NULL,
        money_usd REAL NOT NULL, seconds REAL NOT NULL
    );
    CREATE TABLE views (
        id TEXT PRIMARY KEY, at REAL NOT NULL, view TEXT NOT NULL
    );
    CREATE INDEX gates_by_candidate ON gates(candidate);
    CREATE INDEX trials_by_episode ON trials(episode);
    CREATE INDEX trials_by_candidate ON trials(candidate);
    CREATE INDEX episodes_by_start ON episodes(started_at);
    CREATE INDEX cost_by_episode ON cost(episode);
    """,
    """
    CREATE TABLE runtimes (
        program TEXT NOT NULL, arguments TEXT NOT NULL, mean_ns REAL NOT NULL,
        spread_ns REAL NOT NULL, count INTEGER NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (program, arguments)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE steps (
        episode TEXT NOT NULL REFERENCES episodes(id) ON DELETE CASCADE,
        number INTEGER NOT NULL, at REAL NOT NULL, role TEXT NOT NULL, kind TEXT NOT NULL,
        tool TEXT NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL,
        PRIMARY KEY (episode, number)
    );
    """,
    """
    CREATE TABLE moves (
        trial TEXT PRIMARY KEY, at REAL NOT NULL, scheduler TEXT NOT NULL, kept INTEGER NOT NULL,
        expected REAL NOT NULL, weights TEXT NOT NULL, moved TEXT NOT NULL
    );
    """,
    # Nothing read them: the back-off store has the quarantines, the episodes' views the costs.
    """
    DROP TABLE IF EXISTS quarantine;
    DROP INDEX IF EXISTS cost_by_episode;
    DROP TABLE IF EXISTS cost;
    """,
)
VERSION = len(STEPS)


def upgrade(database: sqlite3.Connection) -> None:
    """Bring the file to the current version; one transaction for each step.

    Raises:
        sqlite3.DatabaseError: not a database, damaged, or made by a later version.
    """
    (have,) = database.execute("PRAGMA user_version").fetchone()
    if have > VERSION:
        raise sqlite3.DatabaseError(f"schema version {have} is newer than ours ({VERSION})")
    for number, step in enumerate(STEPS[have:], start=have + 1):
        database.executescript(f"BEGIN; {step} PRAGMA user_version = {number}; COMMIT;")
