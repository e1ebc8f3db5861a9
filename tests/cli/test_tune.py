# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot tune -- CMD` against a fake machine."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.api.models import Autonomy, TrialState
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Limit
from tests.agent.machine import ServedMachine
from tests.cli.conftest import Schedpilot
from tests.waiting import ended, said


def test_the_best_candidate_is_named_with_its_uncertainty(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """Every candidate is compared, every run listed, and nothing is left loaded."""
    done = schedpilot("tune", "-c", "latency", "-c", "batch", "--runs", "3", "--", "true")
    assert done.status == 0, done.error_text
    assert "best: latency, 58% to 62% better (95%, 3+3 windows)" in done.text
    assert "0.380 to 0.420 at 95%" in done.text
    assert "1.000  1.000  1.000" in done.text
    assert "not kept: not better" in done.text
    assert served.machine.loaded is None
    started = [request for name, request in served.machine.asked if name == "start_trial"]
    assert [each.fed_by_client for each in started] == [True, True]
    assert [each.keep for each in started] == [False, False]
    assert [each.max_windows for each in started] == [6, 6]


def test_the_command_runs_once_for_each_window_and_each_warm_up(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """The command runs once for each warm-up and each window of the daemon, in the caller's own
    environment."""
    counter = tmp_path / "count"
    code = f"import os; open({str(counter)!r}, 'a').write(os.environ['TZ'])"
    words = ("tune", "-c", "latency", "--runs", "2", "--warm-up", "2", "--json")
    done = schedpilot(*words, "--", sys.executable, "-c", code)
    assert done.status == 0, done.error_text
    assert counter.read_text() == "UTC" * (2 + 4)
    document = json.loads(done.stdout)
    assert document["best"] == "latency"
    assert document["command"][0] == sys.executable
    assert len(document["trials"][0]["windows"]) == 4


def test_a_command_is_judged_by_an_objective_with_others_guarded(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The daemon measures the command as a separate workload while it runs again and again; guards
    take names, and the seconds of each run are posted."""
    judged = ("--objective", "response p99", "--guard", "calm: cpu not worse than 50%")
    words = ("tune", "-c", "latency", "--runs", "4", *judged, "--", "sleep", "0.01")
    done = schedpilot(*words)
    assert done.status == 0, done.error_text
    assert "best: latency" in done.text
    assert "sleep 0.01: response p99, medians" in done.text
    assert "guard of cgroup:/calm: cpu not worse than 50%" in done.text
    (started,) = [request for name, request in served.machine.asked if name == "start_trial"]
    assert not started.fed_by_client
    assert not started.keep
    assert started.objective == "response p99"
    assert started.workload.startswith(("cgroup:/", "comm:"))
    assert [(each.workload, each.text) for each in started.guards] == [
        ("cgroup:/calm", "cpu not worse than 50%")
    ]
    assert served.machine.measurements


def test_nothing_better_is_the_answer_no(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The exit code is 3, and the machine is unchanged."""
    done = schedpilot("tune", "-c", "batch", "--runs", "2", "--", "true")
    assert done.status == 3
    assert "nothing was better" in done.text
    assert served.machine.loaded is None


def test_keep_loads_the_best(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The winner stays only with --keep, and with the tried parameters."""
    words = ("tune", "-c", "latency", "--set", "latency:slice_us=700", "--runs", "2", "--keep")
    done = schedpilot(*words, "--", "true")
    assert done.status == 0, done.error_text
    assert served.machine.loaded is not None
    assert served.machine.loaded.parameters == {"slice_us": 700}
    assert served.machine.loaded.why == "operator"


def test_a_policy_is_a_candidate_like_any_other(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """A policy line is compared like any name, and the output says which line its short name
    means."""
    served.machine.effect["policy-0a1b2c3d"] = 0.5
    words = ("tune", "-c", "slice 3ms; order fifo", "-c", "batch", "--runs", "2")
    done = schedpilot(*words, "--", "true")
    assert done.status == 0, done.error_text
    assert "best: policy-0a1b2c3d" in done.text
    assert "policy-0a1b2c3d: slice 3ms; order fifo" in done.text
    document = json.loads(schedpilot(*words, "--json", "--", "true").stdout)
    assert document["policies"] == {"policy-0a1b2c3d": "slice 3ms; order fifo"}


def test_without_candidates_the_library_is_asked(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """Schedulers that fit the command come first, then the usual ones, and never any that is not
    installed."""
    done = schedpilot("tune", "--runs", "2", "--json", "--", "true", "lavd")
    assert done.status == 0, done.error_text
    names = [each["scheduler"] for each in json.loads(done.stdout)["trials"]]
    assert names == ["latency", "batch"]
    assert "candidates: latency, batch" in done.error_text


def test_a_failing_command_ends_the_trial_cleanly(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """The times of a failed command mean nothing: the trial is rolled back, and the exit code is
    5."""
    counter = tmp_path / "count"
    # Well in the warm-up, badly in the second window.
    code = (
        f"import sys; f = open({str(counter)!r}, 'a+'); f.write('x'); f.seek(0); "
        "sys.exit(7 if len(f.read()) > 2 else 0)"
    )
    done = schedpilot("tune", "-c", "latency", "--", sys.executable, "-c", code)
    assert done.status == 5
    assert "ended with status 7" in done.error_text
    assert served.machine.trials["t-0000"].state is TrialState.ROLLED_BACK
    assert "the measured command failed" in served.machine.trials["t-0000"].reason
    assert not served.machine.running


def test_a_command_that_cannot_be_run_starts_nothing(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """A missing command is reported before a scheduler is touched."""
    done = schedpilot("tune", "-c", "latency", "--", "/nowhere/at-all")
    assert done.status == 1
    assert "cannot be run" in done.error_text
    assert served.machine.asked == []


def test_a_candidate_that_is_not_proven_is_left_out(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The others are compared, and the output says why one is not."""
    served.machine.unproven.add("fifo")
    words = ("tune", "-c", "fifo", "-c", "latency", "--runs", "2", "--json")
    done = schedpilot(*words, "--", "true")
    assert done.status == 0
    document = json.loads(done.stdout)
    assert [each["name"] for each in document["refused"]] == ["fifo"]
    assert "the gate 'build' failed" in document["refused"][0]["why"]
    served.machine.unproven.add("latency")
    assert schedpilot(*words, "--", "true").status == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_rolls_back_before_the_exit(
    served: ServedMachine, tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM in the middle of a run end the trial and the running command."""
    started = tmp_path / "started"
    os.mkfifo(started)
    code = f"open({str(started)!r}, 'w').write('x'); import time; time.sleep(600)"
    words = ("tune", "-c", "latency", "--warm-up", "0", "--", sys.executable, "-c", code)
    environment = {**os.environ, RUN_DIR_VARIABLE: str(served.run_dir)}
    argv = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE) as child:
        # Something to read: the measured command runs.
        fifo = os.open(started, os.O_RDWR)
        limit = Limit(30)
        while not select.select([fifo], [], [], min(1.0, limit.left()))[0]:
            assert not limit.passed(), "the command never ran"
        os.close(fifo)
        child.send_signal(number)
        _, error = said(child, 30)
    assert child.returncode == 130, error
    assert b"Traceback" not in error
    assert served.machine.trials["t-0000"].state is TrialState.ROLLED_BACK
    assert "interrupted" in served.machine.trials["t-0000"].reason


def test_in_ask_mode_it_waits_for_the_operator(served: ServedMachine, tmp_path: Path) -> None:
    """The output says how to approve; after a decline the exit code is that for no."""
    served.machine.autonomy = Autonomy.ASK
    environment = {**os.environ, RUN_DIR_VARIABLE: str(served.run_dir)}
    argv = [sys.executable, "-m", "cli.main", "tune", "-c", "latency", "--", "true"]
    with subprocess.Popen(
        argv, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        assert child.stdout is not None
        assert "schedpilot approve a-t-0000" in child.stderr.readline()
        from daemon.api.models import ApprovalRequest

        served.do(served.machine.approve("a-t-0000", ApprovalRequest(approve=False)))
        out = child.stdout.read()
        assert ended(child, 30) == 3
    assert "declined" in out


def test_settings_must_say_whose_they_are(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """A parameter without its scheduler is a fault with an example."""
    done = schedpilot("tune", "-c", "latency", "--set", "slice_us=5", "--", "true")
    assert done.status == 1
    assert "SCHEDULER:NAME=VALUE" in done.error_text
