# SPDX-License-Identifier: GPL-2.0-or-later
"""The history: records come out as they went in, and no damage to the file stops anybody."""

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from process import Fault, FaultType
from scheduler_library import history as module
from scheduler_library.history import (
    Arm,
    CandidateRecord,
    Decision,
    EpisodeRecord,
    GateRecord,
    History,
    LessonRecord,
    ProfileRecord,
    RuntimeRecord,
    TrialRecord,
    VerdictRecord,
    Window,
    open_history,
)

PROFILE = ProfileRecord(
    "p1", 1.0, "redis", ("latency-sensitive", "short-bursts"), {"mean_burst_us": 90}
)
CANDIDATE = CandidateRecord(
    "c1", 2.0, "latency", "bpf", {"slice_ns": 1000, "preempt": True}, "ab12"
)


def filled(history: History, number: int = 1, gain: float = 0.5, keep: bool = True) -> None:
    """One whole episode."""
    history.add_profile(PROFILE)
    history.add_candidate(CANDIDATE)
    history.add_episode(EpisodeRecord(f"e{number}", number, "redis", "p99 doubled", "p1"))
    history.add_trial(
        TrialRecord(f"t{number}", f"e{number}", "c1", number + 0.1, "redis-p99 lower")
    )
    for window in range(4):
        arm = Arm.BASELINE if window in (0, 3) else Arm.CANDIDATE
        history.add_window(Window(f"t{number}", window, arm, number, 2.0, 9.5, {"p99": 1}))
    decision = Decision.KEEP if keep else Decision.ROLLBACK
    history.add_verdict(
        VerdictRecord(f"t{number}", number, decision, gain, gain - 1, gain + 1, "why")
    )
    history.end_trial(f"t{number}", number + 1, "done")
    history.end_episode(f"e{number}", number + 2, "kept" if keep else "rolled back")


def test_a_whole_episode_is_read_back_as_written(tmp_path: Path) -> None:
    """Every record survives closing and opening the file."""
    path = tmp_path / "state" / "history.sqlite"
    opened = open_history(path)
    assert opened.notes == ()
    assert opened.history.degraded is None
    filled(opened.history)
    gate = GateRecord("c1", "build", 3.0, True, 0.5, "fine", {"bytes": 12})
    opened.history.add_gate(gate)
    lesson = LessonRecord(5.0, "agent", "short slices help redis", ("latency-sensitive",), "e1")
    opened.history.add_lesson(lesson)
    opened.history.close()

    history = open_history(path).history
    assert history.profile("p1") == PROFILE
    assert history.candidate("c1") == CANDIDATE
    assert history.episode("e1") == EpisodeRecord("e1", 1, "redis", "p99 doubled", "p1", 3, "kept")
    assert history.gates("c1") == [gate]
    (trial,) = history.trials("e1")
    assert (trial.state, trial.ended_at) == ("done", 2)
    assert [w.arm for w in history.windows("t1")] == ["baseline", "candidate"] * 1 + [
        "candidate",
        "baseline",
    ]
    assert history.verdict("t1") == VerdictRecord("t1", 1, Decision.KEEP, 0.5, -0.5, 1.5, "why")
    assert history.lessons() == [lesson]
    assert (history.episode("e9"), history.verdict("t9"), history.profile("x")) == (None,) * 3


def test_outcomes_gather_gains_by_tags_scheduler_and_parameters(tmp_path: Path) -> None:
    """The advisor learns from each choice and from its gains on similar workloads."""
    history = open_history(tmp_path / "h").history
    filled(history, 1, gain=0.5)
    filled(history, 2, gain=-0.2, keep=False)
    (outcome,) = history.outcomes(["latency-sensitive"])
    assert outcome.scheduler == "latency"
    assert outcome.params == {"slice_ns": 1000, "preempt": True}
    assert outcome.tags == ("latency-sensitive", "short-bursts")
    assert outcome.gains == (0.5, -0.2)
    assert (outcome.kept, outcome.rolled_back) == (1, 1)
    assert history.outcomes(["batch"]) == []
    assert history.outcomes() == [outcome]


def test_runtimes_are_replaced_and_the_oldest_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each program and hash has one row; rows survive closing, up to the bound."""
    monkeypatch.setattr(module, "KEPT_RUNTIMES", 3)
    path = tmp_path / "h"
    history = open_history(path).history
    first = RuntimeRecord("gzip", "ab12", 1e9, 1e7, 1, 1.0)
    history.put_runtimes([first])
    assert history.runtimes() == [first]
    others = [
        RuntimeRecord("gzip", f"cd{number}", 2e9, 0.0, 3, 2.0 + number) for number in range(3)
    ]
    history.put_runtimes(others)
    newer = RuntimeRecord("gzip", "cd1", 3e9, 1e8, 4, 9.0)
    history.put_runtimes([newer])
    history.put_runtimes([])
    history.close()
    assert open_history(path).history.runtimes() == [others[0], others[2], newer]


def test_a_file_of_the_first_version_gets_the_later_tables(tmp_path: Path) -> None:
    """Records of an earlier version stay, and runtimes can be stored beside them."""
    path = tmp_path / "h"
    history = open_history(path).history
    filled(history)
    history.close()
    with sqlite3.connect(path) as database:
        for table in ("runtimes", "steps", "moves"):
            database.execute(f"DROP TABLE {table}")
        database.execute("PRAGMA user_version = 1")
    database.close()
    opened = open_history(path)
    assert opened.notes == ()
    assert opened.history.episode("e1") is not None
    opened.history.put_runtimes([RuntimeRecord("gzip", "ab12", 1e9, 1e7, 1, 1.0)])
    assert len(opened.history.runtimes()) == 1


def test_a_record_that_refers_to_nothing_is_refused(tmp_path: Path) -> None:
    """Foreign keys are on: a trial without an episode is a fault, and the history does not
    degrade."""
    history = open_history(tmp_path / "h").history
    with pytest.raises(Fault) as caught:
        history.add_trial(TrialRecord("t", "no-episode", "no-candidate", 1.0, "x"))
    assert caught.value.type is FaultType.STATE
    assert history.degraded is None


@pytest.mark.parametrize("damage", ["rubbish", "torn", "newer"])
def test_a_corrupt_file_is_set_aside_and_a_fresh_one_started(tmp_path: Path, damage: str) -> None:
    """The old file is kept under a name with the time, the note says where, and work goes on."""
    path = tmp_path / "history.sqlite"
    if damage == "rubbish":
        path.write_bytes(b"this was never a database" * 400)
    else:
        first = open_history(path).history
        for number in range(60):
            filled(first, number)
        first.close()
        if damage == "torn":
            with path.open("r+b") as file:
                file.seek(4096)
                file.write(os.urandom(16384))
        else:
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA user_version = 999")
            database.close()
    opened = open_history(path)
    (note,) = opened.notes
    (aside,) = tmp_path.glob("history.sqlite.corrupt-*Z")
    assert str(aside) in note.hint
    assert opened.history.degraded is None
    assert opened.history.episodes() == []
    filled(opened.history)
    opened.history.close()
    assert len(open_history(path).history.episodes()) == 1


def test_a_state_folder_that_is_no_folder_degrades_to_memory(tmp_path: Path) -> None:
    """If nothing can be written, the history works in memory, says why, and does not raise."""
    (tmp_path / "state").write_text("a file where a folder should be")
    opened = open_history(tmp_path / "state" / "history.sqlite")
    (note,) = opened.notes
    assert opened.history.degraded is note
    assert note.type is FaultType.STATE
    filled(opened.history)
    assert len(opened.history.episodes()) == 1


READ_ONLY = """
import os, sys
from pathlib import Path
from scheduler_library.history import LessonRecord, open_history
if os.geteuid() == 0:
    os.setuid(65534)
history = open_history(Path(sys.argv[1])).history
assert history.degraded is not None
history.add_lesson(LessonRecord(1.0, "me", "x"))
assert len(history.lessons()) == 1
"""


def run_apart(script: str, path: Path) -> str:
    """Run a script in its own process, for changes that cannot be undone in this one."""
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("exists", [True, False])
def test_a_read_only_state_folder_degrades_to_memory(tmp_path: Path, exists: bool) -> None:
    """Without permission to write, nothing is raised, with or without an existing file."""
    path = tmp_path / "history.sqlite"
    if exists:
        open_history(path).history.close()
        path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        run_apart(READ_ONLY, path)
    finally:
        tmp_path.chmod(0o755)


FULL = """
import resource, signal, sys
from pathlib import Path
from scheduler_library.history import LessonRecord, open_history
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
history = open_history(Path(sys.argv[1])).history
history.add_lesson(LessonRecord(1.0, "me", "before"))
assert history.degraded is None
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
for number in range(50):
    history.add_lesson(LessonRecord(2.0 + number, "me", "x" * 2000))
assert history.degraded is not None, "a file that cannot grow went unnoticed"
assert len(history.lessons(100)) == 51, len(history.lessons(100))
print(history.degraded.why)
"""


def test_a_disk_that_fills_up_moves_the_history_into_memory(tmp_path: Path) -> None:
    """A write that fails half-way loses nothing: all records move into memory."""
    assert run_apart(FULL, tmp_path / "history.sqlite").strip()


def test_the_oldest_is_forgotten_beyond_the_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and episodes are bounded; a verdict outlives the windows that it rests on."""
    monkeypatch.setattr(module, "KEPT_WINDOWS", 4)
    monkeypatch.setattr(module, "KEPT_EPISODES", 2)
    history = open_history(tmp_path / "h").history
    for number in range(1, 5):
        filled(history, number)
    history.prune()
    assert [e.id for e in history.episodes()] == ["e4", "e3"]
    assert len(history.windows("t4")) == 4
    assert history.windows("t3") == []
    assert history.verdict("t3") is not None
    assert history.verdict("t1") is None


def test_several_threads_can_record_at_once(tmp_path: Path) -> None:
    """No record is lost when several threads of the daemon write together."""
    history = open_history(tmp_path / "h").history

    def write(author: str) -> None:
        for number in range(50):
            history.add_lesson(LessonRecord(number, author, "x"))

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.lessons(1000)) == 200
    assert history.degraded is None
