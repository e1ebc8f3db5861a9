# SPDX-License-Identifier: GPL-2.0-or-later
"""The real daemon on a kernel that may have no sched_ext: it watches, answers and ends."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpf.kernel import sysfs
from daemon.api.models import (
    CandidateRequest,
    CloseRequest,
    EventKind,
    Gate,
    HoldRequest,
    LessonRequest,
    ParametersRequest,
    RollbackRequest,
    TrialRequest,
)
from process import Fault, FaultType
from scheduler_library.history import FILE
from tests.daemon.running import ROOT, Place, Running, running

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One daemon for all tests that do not change it."""
    if sysfs.read().supported:
        pytest.skip("this kernel has sched_ext: tests/daemon/test_faults.py is for such")
    with running(Place(tmp_path_factory.mktemp("daemon"))) as daemon:
        yield daemon


def fault_of(action: object) -> Fault:
    """The fault with which `action` ends."""
    with pytest.raises(Fault) as caught:
        action()  # type: ignore[operator]
    return caught.value


# ---------------------------------------------------------------- without sched_ext


def test_a_goal_is_read_before_anything_is_begun(daemon: Running) -> None:
    """Any client may ask for the meaning of a goal here; if a named workload does not exist, the
    answer is a question."""
    with daemon.observe() as client:
        view = client.goal("lower latency, p99 under 20 ms", "comm:web")
        assert view.objective == "response p99 < 20ms; completions not worse than 5%"
        assert view.question == ""
        assert "'rsync'" in client.goal("lower latency, 'rsync' must go on", "comm:web").question


def test_without_sched_ext_the_status_says_so(daemon: Running) -> None:
    """On a kernel without sched_ext the daemon starts, and says what it cannot do."""
    with daemon.observe() as client:
        status = client.status()
    assert not status.kernel.supported
    assert status.loaded is None
    assert status.foreign == ""
    started = next(each for each in daemon.events() if each.kind is EventKind.STARTED)
    assert "not in this kernel: advice only" in started.message


def test_without_sched_ext_no_candidate_is_proven(daemon: Running) -> None:
    """The gates that need sched_ext say that they did not run, and nothing can be loaded."""
    with daemon.control() as client:
        view = client.create_candidate(CandidateRequest(library="fifo"))
        assert [each.gate for each in view.gates] == [Gate.STATIC, Gate.BUILD]
        assert view.gates[0].passed
        assert "sched_ext" in view.gates[1].skipped
        assert not view.proven
        fault = fault_of(lambda: client.hold(HoldRequest(candidate=view.id)))
        status = client.status()
    assert fault.type is FaultType.NOT_ALLOWED
    assert "'build' was not run" in fault.why
    assert "sched_ext" in fault.why
    # The candidate itself has no fault.
    assert status.quarantine == []


def test_unknown_candidates_are_neither_tried_nor_held(daemon: Running) -> None:
    """The fault for a trial or a hold of an unknown candidate names that candidate."""
    with daemon.control() as client:
        for action in (
            lambda: client.start_trial(TrialRequest(candidate="c-0123456789ab")),
            lambda: client.hold(HoldRequest(candidate="c-0123456789ab")),
        ):
            fault = fault_of(action)
            assert fault.type is FaultType.NOT_FOUND
            assert "c-0123456789ab" in fault.what


def test_with_nothing_loaded_there_is_nothing_to_change(daemon: Running) -> None:
    """Rollback and parameters are refused, and a release does nothing."""
    with daemon.control() as client:
        fault = fault_of(lambda: client.rollback(RollbackRequest()))
        assert (fault.type, fault.why) == (
            FaultType.NOT_FOUND,
            "no scheduler of ours is in the kernel",
        )
        fault = fault_of(lambda: client.set_parameters(ParametersRequest(parameters={"a": 1})))
        assert fault.type is FaultType.NOT_FOUND
        assert client.release().loaded is None


def test_the_library_is_shown_without_a_kernel_for_it(daemon: Running) -> None:
    """Reading works completely: the library with its pages, workloads, history and metrics."""
    with daemon.observe() as client:
        names = {each.name for each in client.library()}
        assert {"fifo", "fair", "latency", "batch", "locality", "jobs", "scx_lavd"} <= names
        assert client.scheduler("jobs").page.startswith("#")
        assert client.library("latency")[0].score
        assert client.workloads() == []
        assert client.signals().line is None
        assert "schedpilot_" in client.metrics()


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("no-such-thing", FaultType.UNKNOWN_SCHEDULER),
        ("../../etc/passwd", FaultType.NOT_FOUND),
        ("%2e%2e", FaultType.BAD_NAME),
        ("FIFO", FaultType.BAD_NAME),
    ],
)
def test_a_scheduler_that_is_not_there_is_named(
    daemon: Running, name: str, type: FaultType
) -> None:
    """An unknown name and an invalid name have different faults."""
    with daemon.observe() as client:
        assert fault_of(lambda: client.scheduler(name)).type is type


def test_a_signals_program_that_is_missing_is_told(daemon: Running) -> None:
    """Without the signals program the daemon still answers, and says what is missing."""
    if Path("/usr/lib/schedpilot/schedpilot-signals").exists():
        pytest.skip("the signals program is installed here")
    event = daemon.until(EventKind.SIGNALS_LOST)
    assert "schedpilot-signals" in event.message
    assert "is not installed" in event.message
    with daemon.observe() as client:
        assert client.status().pid == daemon.process.pid


def test_lessons_are_kept_across_a_restart(place: Place) -> None:
    """A lesson is still there after the daemon was stopped and started again."""
    with running(place) as daemon, daemon.control() as client:
        client.record_lesson(LessonRequest(text="the backup at night is no degradation"))
        assert daemon.end() == 0
    with running(place) as daemon, daemon.observe() as client:
        texts = [each.text for each in client.lessons()]
    assert "the backup at night is no degradation" in texts


def test_an_episode_that_is_not_there_cannot_be_closed(daemon: Running) -> None:
    """To close an episode, or to advise on it, it must be open."""
    request = CloseRequest(summary="done", advisor="by-hand")
    with daemon.control() as client:
        fault = fault_of(lambda: client.close_episode("e-0123456789", request))
    assert fault.type is FaultType.NOT_FOUND


# ---------------------------------------------------------------- start and end


def test_sigterm_ends_it_in_order(place: Place) -> None:
    """After SIGTERM during a client's stream the daemon ends with status 0 and without its
    sockets."""
    with running(place) as daemon:
        with daemon.observe() as client:
            stream = client.events()
            next(iter(stream))
            assert daemon.end() == 0
            assert list(stream) is not None  # it ends like a stream and is not cut off
            assert "schedpilotd stops" in daemon.said()
        assert not (place.run / "control.sock").exists()
        assert not (place.run / "observe.sock").exists()


def test_a_killed_daemon_leaves_nothing_in_the_way(place: Place) -> None:
    """After a SIGKILL the next daemon replaces what the first one left."""
    with running(place) as daemon:
        daemon.process.kill()
        daemon.process.wait()
    assert (place.run / "control.sock").exists()
    with running(place) as daemon, daemon.control() as client:
        assert client.status().pid == daemon.process.pid


def test_a_second_daemon_is_refused(place: Place) -> None:
    """A second daemon on the same folders says that the first one runs, and does not touch it."""
    with running(place) as daemon:
        second = _run_to_end(place.configured())
        assert second.returncode == 1
        assert "another schedpilotd answers" in second.stderr
        assert f"its process is {daemon.process.pid}" in second.stderr
        with daemon.control() as client:
            assert client.status().notes == []


def _run_to_end(config: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "daemon.main", "--config", str(config), *more],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_every_problem_of_the_configuration_is_told(place: Place) -> None:
    """A bad configuration ends the start with status 2 and with all of its problems at once."""
    path = place.configured(
        '[daemon]\nautonmy = "auto"\ninterval_s = 0.01\n[trial]\nwindow_s = "long"\n'
    )
    for more in ((), ("--check",)):
        done = _run_to_end(path, *more)
        assert done.returncode == 2
        assert "3 problems" in done.stderr
        assert "line 2: daemon.autonmy" in done.stderr
        assert "did you mean 'autonomy'?" in done.stderr
        assert "line 3: daemon.interval_s" in done.stderr
        assert "line 5: trial.window_s" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_good_configuration_can_be_checked(place: Place) -> None:
    """`--check` says that the configuration is correct, and starts nothing."""
    done = _run_to_end(place.configured(), "--check")
    assert done.returncode == 0
    assert "no problems" in done.stdout
    assert not place.run.exists()


# ---------------------------------------------------------------- trouble with its own state


def test_a_corrupt_history_is_set_aside(place: Place) -> None:
    """A file that is no database is set aside under a name that is reported, and the daemon uses a
    new one."""
    place.state.mkdir(parents=True)
    (place.state / FILE).write_bytes(b"this is no database" * 1000)
    with running(place) as daemon, daemon.control() as client:
        aside = next(place.state.glob(f"{FILE}.corrupt-*"))
        assert any(aside.name in note for note in client.status().notes)
        event = daemon.until(EventKind.STATE_TROUBLE)
        assert aside.name in event.message
    with sqlite3.connect(place.state / FILE) as database:
        assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]


def test_a_corrupt_standing_is_set_aside(place: Place) -> None:
    """The file of cooldowns and quarantines is set aside if it cannot be read."""
    place.state.mkdir(parents=True)
    (place.state / "standing.json").write_text('{"failures": "many"')
    with running(place) as daemon, daemon.observe() as client:
        assert any(
            "standing.json" in note and "set aside" in note for note in client.status().notes
        )
    assert (place.state / "standing.json.corrupt").exists()


@contextlib.contextmanager
def small_disk(path: Path, size: str, options: str = "") -> Iterator[Path]:
    """A separate file system at `path`."""
    path.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@as_root
def test_a_full_state_folder_does_not_stop_it(place: Place) -> None:
    """Without space for its state the daemon starts, notes it, and works in memory."""
    with small_disk(place.state, "64k") as state:
        with contextlib.suppress(OSError), (state / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        with running(place) as daemon, daemon.control() as client:
            assert any("in memory" in note for note in client.status().notes)
            client.record_lesson(LessonRequest(text="held in memory"))
            assert [each.text for each in client.lessons()] == ["held in memory"]
            assert daemon.end() == 0


@as_root
def test_a_state_folder_that_fills_up_is_lived_with(place: Place) -> None:
    """If the disk becomes full while it runs, the daemon keeps its state in memory."""
    with small_disk(place.state, "4m") as state, running(place) as daemon:
        with daemon.control() as client:
            client.record_lesson(LessonRequest(text="before"))
            with contextlib.suppress(OSError), (state / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"x" * 4096):
                    pass
            # Files that are there already have some room left in their last block.
            for number in range(200):
                client.record_lesson(LessonRequest(text=f"{number}: " + "long " * 90))
                if any("in memory" in note for note in client.status().notes):
                    break
            assert any("in memory" in note for note in client.status().notes)
            client.record_lesson(LessonRequest(text="after"))
            texts = [each.text for each in client.lessons()]
            assert {"before", "after"} <= set(texts)
            assert any(text.startswith(f"{number}: ") for text in texts)
        assert daemon.end() == 0


@as_root
def test_a_read_only_state_folder_does_not_stop_it(place: Place) -> None:
    """On a read-only file system the daemon starts, notes it, and works in memory."""
    with small_disk(place.state, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(place.state)], check=True)
        with running(place) as daemon, daemon.control() as client:
            notes = client.status().notes
            assert any("in memory" in note for note in notes)
            client.record_lesson(LessonRequest(text="held in memory"))
            assert [each.text for each in client.lessons()] == ["held in memory"]


@as_root
def test_a_cache_that_cannot_be_made_is_noted(place: Place) -> None:
    """Without its cache the daemon still answers, and says which folder it is."""
    with small_disk(place.folder / "disk", "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        place.tables = {"daemon": {"cache_dir": str(disk / "cache")}}
        with running(place) as daemon, daemon.observe() as client:
            assert any(str(disk / "cache") in note for note in client.status().notes)


# ---------------------------------------------------------------- bad requests, over the wire


def _post(daemon: Running, path: str, body: bytes) -> tuple[int, dict[str, str]]:
    import httpx

    transport = httpx.HTTPTransport(uds=str(daemon.place.run / "control.sock"))
    with httpx.Client(transport=transport, base_url="http://schedpilot") as client:
        answer = client.post(path, content=body)
    return answer.status_code, answer.json()


def test_a_body_that_is_not_json_is_refused(daemon: Running) -> None:
    """The answer says that the body is not JSON."""
    status, problem = _post(daemon, "/v1/candidates", b"{library: fifo")
    assert status == 400
    assert problem["type"].endswith(":bad-request")
    assert "not JSON" in problem["detail"]


def test_a_body_that_is_far_too_large_is_refused(daemon: Running) -> None:
    """The answer has the allowed size."""
    status, problem = _post(daemon, "/v1/candidates", b'{"source": "' + b"x" * 9_000_000 + b'"}')
    assert status == 413
    assert problem["type"].endswith(":too-large")
    assert "at most" in problem["why"]


@pytest.mark.parametrize(
    ("request_body", "said"),
    [
        (b"{}", "given: none of them"),
        (b'{"library": "fifo", "source": "int x;"}', "given: library, source"),
    ],
)
def test_a_candidate_is_one_thing(daemon: Running, request_body: bytes, said: str) -> None:
    """A request with no candidate, or with two at once, is refused with what was given."""
    status, problem = _post(daemon, "/v1/candidates", request_body)
    assert (status, problem["why"]) == (400, said)


@pytest.mark.parametrize(
    ("body", "status", "type"),
    [
        (b'{"library": "nothing"}', 404, "unknown-scheduler"),
        (b'{"library": "../../../etc"}', 400, "bad-request"),
        (b'{"library": "fifo", "parameters": {"slice_ns": 1}}', 422, "bad-parameter"),
        (b'{"library": "fifo", "parameters": {"slize_ns": 5000000}}', 422, "bad-parameter"),
        (b'{"source": "int x;", "name": "../x"}', 400, "bad-request"),
        (b'{"library": "scx_lavd"}', 409, "not-installed"),
    ],
)
def test_what_is_wrong_with_a_candidate_is_told_first(
    daemon: Running, body: bytes, status: int, type: str
) -> None:
    """The request's own errors come before those of the machine."""
    got, problem = _post(daemon, "/v1/candidates", body)
    assert (got, problem["type"].rpartition(":")[2]) == (status, type), problem
