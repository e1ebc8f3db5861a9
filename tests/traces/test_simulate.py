# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot simulate`: a scheduler beside the default one, by the command as people call it."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from process import run
from process.run import Completed
from simulator.traces.text import read_text
from tests.target import Target
from tests.traces.conftest import DATA

ROOT = Path(__file__).parents[2]
TRACE = str(DATA / "phases.trace.gz")
BAD = ROOT / "tests" / "simulator" / "schedulers"

Simulate = Callable[..., Completed]


@pytest.fixture
def simulate(target: Target) -> Simulate:
    """The command, for the lab's kernel."""

    def call(*words: str) -> Completed:
        place = [f"--btf={target.btf}", f"--cache={target.cache}"]
        return run(
            [sys.executable, "-m", "cli.main", "simulate", *words, *place],
            timeout=300,
            cwd=ROOT,
            env={"COLUMNS": "160", "PYTHONPATH": str(ROOT)},
            check=False,
        )

    return call


def test_a_recorded_workload_is_compared_in_words(simulate: Simulate) -> None:
    """The table has the workloads as they were recorded, and says what is better and what worse."""
    done = simulate("fifo", "--trace", TRACE)
    assert done.status == 0, done.error_text
    assert "fifo against the kernel's default" in done.text
    assert "comm:ping" in done.text
    assert "(better)" in done.text
    assert "(worse)" in done.text
    assert re.search(r"^note: .* real-time tasks", done.text, re.MULTILINE)


def test_the_same_seed_gives_the_same_bytes(simulate: Simulate) -> None:
    """Nothing in the answer is of this run; another seed is another answer."""
    first, again = (simulate("fifo", "--trace", TRACE, "--json", "--seed", "7") for _ in range(2))
    other = simulate("fifo", "--trace", TRACE, "--json", "--seed", "8")
    assert first.status == 0, first.error_text
    assert first.stdout == again.stdout
    # Under the model of the default, what took 2.19 s on the real kernel takes as long.
    whole = json.loads(first.text)["scenarios"][0]["default"]
    assert whole["time_ns"] == pytest.approx(
        read_text(DATA / "phases.trace.gz").duration_ns, rel=0.1
    )
    found, another = json.loads(first.text), json.loads(other.text)
    assert found["seed"] == 7
    assert found["scenarios"][0]["groups"] != another["scenarios"][0]["groups"]


@pytest.mark.long
def test_fifty_runs_give_the_same_bytes(simulate: Simulate) -> None:
    """Also the stress set, fifty times."""
    found = {
        hashlib.sha256(simulate("fifo", "--json", "--seed", "3").stdout).hexdigest()
        for _ in range(50)
    }
    assert len(found) == 1


def test_a_policy_and_its_parameters(simulate: Simulate) -> None:
    """A line of policy is compiled first; values reach the scheduler with their units."""
    done = simulate("slice 4ms", "--trace", TRACE, "--json", "--cpus", "3")
    assert done.status == 0, done.error_text
    assert json.loads(done.text)["scenarios"][0]["cpus"] == 3
    short = simulate("fifo", "--set", "slice_ns=100us", "--trace", TRACE, "--json")
    assert json.loads(short.text)["parameters"] == {"slice_ns": "100000"}
    usual = simulate("fifo", "--trace", TRACE, "--json")
    assert json.loads(usual.text)["scenarios"] != json.loads(short.text)["scenarios"]


def test_an_ejection_is_the_answer_no(simulate: Simulate) -> None:
    """A file of C that breaks the rules ends with 3, with the kernel's words, cause and fix."""
    done = simulate(str(BAD / "missing_queue.bpf.c"), "--scenario", "quiet")
    assert done.status == 3, done.error_text
    assert "ejected" in done.text
    assert "because" in done.text
    assert "fix:" in done.text


def test_a_workload_for_rt_app(simulate: Simulate, tmp_path: Path) -> None:
    """rt-app's JSON is taken for what it is."""
    app = tmp_path / "app.json"
    app.write_text(
        '{"global": {"duration": 1}, "tasks": {"ui": {"run": 500, "sleep": 4500}, '
        '"hog": {"instance": 6, "run": 10000}}}'
    )
    done = simulate("latency", "--trace", str(app), "--json")
    assert done.status == 0, done.error_text
    names = [each["name"] for each in json.loads(done.text)["scenarios"][0]["groups"]]
    assert names == ["ui", "hog"]


def test_how_it_ran_can_be_looked_at(simulate: Simulate, tmp_path: Path) -> None:
    """A Perfetto trace of the candidate is written for one scenario, and refused for the set."""
    picture = tmp_path / "out.json"
    done = simulate("fifo", "--trace", TRACE, f"--perfetto={picture}", "--json")
    assert done.status == 0, done.error_text
    assert json.loads(picture.read_text())["traceEvents"]
    assert "one scenario" in simulate("fifo", f"--perfetto={picture}").error_text


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("fifo", "--trace", "/nowhere"), 1, "there is no such trace"),
        (("fifo", "--scenario", "nothing"), 1, "there are: "),
        (("fifo", "--trace", "/nowhere", "--scenario", "quiet"), 2, "choose one"),
        (("nothing-of-this-name",), 1, "nothing-of-this-name"),
        (("slice fase",), 1, "column 7"),
        (("fifo", "--set", "slices=3"), 1, "slice_ns"),
    ],
)
def test_what_cannot_be_done_is_told(
    simulate: Simulate, words: tuple[str, ...], status: int, said: str
) -> None:
    """A fault is a line on standard error, and standard output stays empty."""
    done = simulate(*words)
    assert done.status == status
    assert said in done.error_text
    assert not done.stdout


def test_a_kernel_without_sched_ext_is_named(tmp_path: Path) -> None:
    """Without types of sched_ext nothing is compiled; the hint says what to name instead."""
    types = tmp_path / "vmlinux"
    types.write_bytes(b"\x9f\xeb\0\0task_struct\0")
    words = ["simulate", "fifo", f"--btf={types}", f"--cache={tmp_path / 'cache'}"]
    done = run(
        [sys.executable, "-m", "cli.main", *words],
        timeout=60,
        cwd=ROOT,
        env={**os.environ},
        check=False,
    )
    assert done.status == 1
    assert "no sched_ext" in done.error_text
    assert "--btf FILE" in done.error_text
