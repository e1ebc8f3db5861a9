# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress set on real schedulers: ours survive it, and bad ones learn why they do not."""

import tomllib
from pathlib import Path

import pytest

from lab.tree import project_root
from simulator.scenario import SimulatedMachine, service
from simulator.simulated_objective import parse_simulated_objective
from simulator.stress import stress_set
from simulator.stress_verdict import RecordedWorkload
from tests.policy_lab import cookbook

from .conftest import Prover

ROOT = project_root()
LIBRARY = ("batch", "fair", "fifo", "jobs", "latency", "locality")
BAD = ROOT / "tests" / "simulator" / "schedulers"
POLICIES = cookbook.lines()
# The rest of the guide takes half a minute.
OFTEN = [
    line
    for line in POLICIES
    if any(word in line for word in ("slice clamp", "avg_run < 2ms", "order by if", "llc"))
]


def library(name: str) -> Path:
    return ROOT / "scheduler_library" / "schedulers" / name / f"{name}.bpf.c"


def at_its(bound: str, name: str) -> dict[str, str]:
    """All parameters of an entry at one end of their ranges."""
    manifest = tomllib.loads((library(name).parent / "manifest.toml").read_text())
    values = {each["name"]: each.get(bound, bound == "max") for each in manifest["params"]}
    return {key: str(value).lower() for key, value in values.items()}


@pytest.mark.parametrize("name", LIBRARY)
def test_library_schedulers_survive(prover: Prover, name: str) -> None:
    """With their defaults nobody is starved or lost, and no CPU is idle while there is work."""
    proof = prover.prove(library(name))
    assert proof.passed, proof.findings
    assert proof.figures["scenarios"] == proof.figures["of"] == len(prover.asked(library(name)))
    assert proof.figures["score"] > 0.9


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        pytest.param(name, bound, marks=() if name == "fair" else pytest.mark.long)
        for name in LIBRARY
        for bound in ("min", "max")
    ],
)
def test_library_schedulers_survive_at_their_bounds(prover: Prover, name: str, bound: str) -> None:
    """This also holds with every parameter at its smallest, or at its largest."""
    proof = prover.prove(library(name), at_its(bound, name))
    assert proof.passed, proof.findings


@pytest.mark.parametrize(
    "line",
    [pytest.param(each, marks=() if each in OFTEN else pytest.mark.long) for each in POLICIES],
)
def test_policies_of_the_cookbook_survive(prover: Prover, tmp_path: Path, line: str) -> None:
    """The compiler's output for each line of the guide survives."""
    made = cookbook.compiled(line)
    source = tmp_path / f"{made.name}.bpf.c"
    source.write_text(made.source)
    proof = prover.prove(source)
    assert proof.passed, proof.findings


@pytest.mark.parametrize(
    ("name", "message", "fix", "marked"),
    [
        ("twice", "already direct-dispatched", "insert each task once", "enqueue"),
        ("nowhere", "non-existent DSQ", "in init", "scx_bpf_dsq_insert"),
        ("orphans", "failed to run", "take tasks from it in dispatch", "enqueue"),
        ("wrong_cpu", "invalid CPU 9999", "return prev_cpu", "select_cpu"),
        ("divides", "division by zero", "test the divisor", "100 / nothing"),
    ],
)
def test_a_bad_scheduler_is_told_what_to_change(
    prover: Prover, name: str, message: str, fix: str, marked: str
) -> None:
    """The finding has the kernel's words, the remedy, and the line of the source that shows it."""
    source = BAD / f"{name}.bpf.c"
    proof = prover.prove(source)
    assert not proof.passed
    first = proof.findings[0]
    assert message in first.message
    assert fix in first.fix
    assert first.file == source.name
    assert first.line is not None
    near = source.read_text().splitlines()[first.line - 1 : first.line + 2]
    assert marked in "\n".join(near)
    assert proof.figures["score"] < 0.5


def test_the_same_candidate_gets_the_same_answer(prover: Prover) -> None:
    """It does not matter which scenario happened to end first."""

    def answer() -> object:
        proof = prover.prove(BAD / "ignores_affinity.bpf.c")
        timed = ("seconds", "build_seconds")
        return proof.findings, {k: v for k, v in proof.figures.items() if k not in timed}

    assert answer() == answer()


def test_progress_is_told_and_the_set_stops_at_a_failure(prover: Prover) -> None:
    """Each finished scenario is reported; after a failure no further one begins."""
    told: list[tuple[str, int, int]] = []
    asked = prover.asked(library("fifo"))
    prover.prove(library("fifo"), on_scenario=lambda *each: told.append(each))
    assert [each[1] for each in told] == list(range(1, len(asked) + 1))
    assert {each[0] for each in told} == set(asked)
    assert {each[2] for each in told} == {len(asked)}
    told.clear()
    prover.prove(BAD / "missing_queue.bpf.c", on_scenario=lambda *each: told.append(each))
    assert 0 < len(told) < len(stress_set())


def test_a_recorded_workload_gets_a_predicted_gain(prover: Prover) -> None:
    """For a service beside hogs a shorter response is a gain, and anything that gets worse is a
    warning."""
    recorded = RecordedWorkload(
        service(SimulatedMachine(4)), "service", parse_simulated_objective("response p99")
    )
    better = prover.prove(library("latency"), recorded=recorded)
    worse = prover.prove(library("fifo"), recorded=recorded)
    assert better.passed
    assert worse.passed
    gain = "gain_delay_p99_percent[service]"
    assert better.figures[gain] > worse.figures[gain]
    assert worse.figures["gain_delay_p99_percent"] < 0
    assert better.figures["gain_objective_percent"] > 0 > worse.figures["gain_objective_percent"]
    said = [each for each in worse.findings if each.scenario == "service"]
    (note,) = (each.message for each in said if each.severity == "note")
    assert "`response p99; completions not worse than 2%`" in note
    (warned,) = (each.message for each in said if each.severity == "warning")
    assert "'service'" in warned
    assert "response p99 x" in warned


def test_what_does_not_compile_natively_is_a_finding(prover: Prover, tmp_path: Path) -> None:
    """If the simulator lacks a helper, the proof ends with its name, its place and no score."""
    source = tmp_path / "outside.bpf.c"
    text = (ROOT / "tests/bpf/schedulers/plain.bpf.c").read_text()
    source.write_text(text.replace("SCX_OPS_DEFINE", (
        "static void __attribute__((used)) unused_part(void)\n{\n\tbpf_send_signal(9);\n}\n\n"
        "SCX_OPS_DEFINE"), 1))  # fmt: skip
    proof = prover.prove(source)
    assert not proof.passed
    assert "bpf_send_signal()" in proof.findings[0].message
    assert proof.findings[0].line
    assert proof.figures["score"] == 0
