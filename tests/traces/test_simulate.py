# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot simulate`: a scheduler compared with the default one, by the users' command."""

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
    """Run the command for the lab's kernel."""

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
    """The table has the recorded workloads, and says what is better and what is worse."""
    done = simulate("fifo", "--trace", TRACE)
    assert done.status == 0, done.error_text
    assert "fifo against the kernel's default" in done.text
    assert "comm:ping" in done.text
    assert "(better)" in done.text
    assert "(worse)" in done.text
    assert re.search(r"^note: .* real-time tasks", done.text, re.MULTILINE)


def test_the_same_seed_gives_the_same_bytes(simulate: Simulate) -> None:
    """Nothing in the answer depends on this run; another seed gives another answer."""
    first, again = (simulate("fifo", "--trace", TRACE, "--json", "--seed", "7") for _ in range(2))
    other = simulate("fifo", "--trace", TRACE, "--json", "--seed", "8")
    assert first.status == 0, first.error_text
    assert first.stdout == again.stdout
    # Work that took 2.19 s on the real kernel takes as long under the model of the default.
    whole = json.loads(first.text)["scenarios"][0]["default"]
    assert whole["time_ns"] == pytest.approx(
        read_text(DATA / "phases.trace.gz").duration_ns, rel=0.1
    )
    found, another = json.loads(first.text), json.loads(other.text)
    assert found["seed"] == 7
    assert found["scenarios"][0]["groups"] != another["scenarios"][0]["groups"]


@pytest.mark.long
def test_fifty_runs_give_the_same_bytes(simulate: Simulate) -> None:
    """The stress set gives the same bytes fifty times, too."""
    found = {
        hashlib.sha256(simulate("fifo", "--json", "--seed", "3").stdout).hexdigest()
        for _ in range(50)
    }
    assert len(found) == 1


def test_a_policy_and_its_parameters(simulate: Simulate) -> None:
    """A policy line is compiled first; values reach the scheduler with their units."""
    done = simulate("slice 4ms", "--trace", TRACE, "--json", "--cpus", "3")
    assert done.status == 0, done.error_text
    assert json.loads(done.text)["scenarios"][0]["cpus"] == 3
    short = simulate("fifo", "--set", "slice_ns=100us", "--trace", TRACE, "--json")
    assert json.loads(short.text)["parameters"] == {"slice_ns": "100000"}
    usual = simulate("fifo", "--trace", TRACE, "--json")
    assert json.loads(usual.text)["scenarios"] != json.loads(short.text)["scenarios"]


def test_an_ejection_is_the_answer_no(simulate: Simulate) -> None:
    """A C file that breaks the rules ends with 3, and with the kernel's message, its cause and its
    fix."""
    done = simulate(str(BAD / "missing_queue.bpf.c"), "--scenario", "quiet")
    assert done.status == 3, done.error_text
    assert "ejected" in done.text
    assert "because" in done.text
    assert "fix:" in done.text


def test_a_workload_for_rt_app(simulate: Simulate, tmp_path: Path) -> None:
    """rt-app's JSON is recognised."""
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
    """A Perfetto trace of the candidate is written for one scenario, and refused for the stress
    set."""
    picture = tmp_path / "out.json"
    done = simulate("fifo", "--trace", TRACE, f"--perfetto={picture}", "--json")
    assert done.status == 0, done.error_text
    assert json.loads(picture.read_text())["traceEvents"]
    assert "one scenario" in simulate("fifo", f"--perfetto={picture}").error_text


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("fifo", "--trace", "/nowhere"), 1, "the trace does not exist"),
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
    """A fault is one line on standard error, and standard output stays empty."""
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


TASKGROUPS = """{"tasks": {
    "web": {"run": 3000, "sleep": 1000, "instance": 4, "taskgroup": "/app.slice/web"},
    "job": {"run": 3000, "sleep": 1000, "instance": 4, "taskgroup": "/batch.slice/job"}},
  "global": {"duration": 2}}"""


@pytest.mark.parametrize("selector", ['cgroup ~ "/batch.slice/*"', 'cmd ~ "job*"'])
def test_what_only_userspace_sees_selects_simulated_tasks(
    simulate: Simulate, tmp_path: Path, selector: str
) -> None:
    """A policy's selectors by cgroup and command find the tasks of the workload."""
    workload = tmp_path / "w.json"
    workload.write_text(TASKGROUPS)
    # The groups of the workload would divide the machine equally, whatever the tier.
    policy = f"cgroups ignore; {selector} {{ idle }}"
    done = simulate(policy, "--cpus", "2", "--trace", str(workload), "--json")
    assert done.status == 0, done.error_text
    found = json.loads(done.text)
    job = next(
        each for each in found["scenarios"][0]["groups"] if each["workload"].endswith("/job")
    )
    assert job["ratios"]["throughput"] < 0.3
    assert any("cgroups" in note for note in found["notes"])
    assert any("`cmd`" in note for note in found["notes"]) == selector.startswith("cmd")


def test_cpus_of_a_policy_are_those_of_the_simulated_machine(
    simulate: Simulate, tmp_path: Path
) -> None:
    """CPUs of the simulated machine are accepted, however few this machine has; others are
    refused."""
    within = simulate('comm ~ "sp-*" { cpus 200-201 }', "--cpus", "202", "--scenario", "nothing")
    assert "there is no scenario 'nothing'" in within.error_text
    beyond = simulate('comm ~ "sp-*" { cpus 200-202 }', "--cpus", "202", "--scenario", "quiet")
    assert beyond.status == 1
    assert "no CPU 202 in the simulated machine: expected CPUs 0 to 201" in beyond.error_text
    workload = tmp_path / "w.json"
    workload.write_text('{"tasks": {"a": {"run": 10, "cpus": [6]}}, "global": {"duration": 1}}')
    recorded = simulate('comm ~ "a" { cpus 4-7 }', "--trace", str(workload))
    assert "no CPU 7 in the simulated machine: expected CPUs 0 to 6" in recorded.error_text


def test_types_come_from_this_kernel_else_from_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The requested types come first; a kernel with incomplete types is skipped."""
    from cli import local_gates
    from cli import simulate as command

    own = tmp_path / "vmlinux"
    monkeypatch.setattr(command, "KERNEL_TYPES", own)
    monkeypatch.setattr(local_gates, "lab_types", lambda: Path("/lab"))
    assert command.types_for(Path("/asked")) == Path("/asked")
    assert command.types_for(None) == Path("/lab")
    own.write_bytes(b"\0sched_ext_ops\0")
    assert command.types_for(None) == Path("/lab")
    own.write_bytes(b"\0sched_ext_ops\0scx_bpf_dsq_insert\0")
    assert command.types_for(None) is None
