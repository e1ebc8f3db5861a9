# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gate `simulate` predicts of a recorded workload, and by what."""

from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.gates import GateOutcome, JudgedBy, simulate
from tests.target import Target

ROOT = Path(__file__).parents[2]
TRACE = ROOT / "tests/data/traces/phases.trace.gz"
FIFO = ROOT / "scheduler_library/schedulers/fifo/fifo.bpf.c"
Ask = Callable[..., GateOutcome]


@pytest.fixture
def ask(target: Target, tmp_path: Path) -> Ask:
    object = target.build(FIFO, tmp_path).require()

    def call(judged: JudgedBy | None, trace: Path | None = TRACE) -> GateOutcome:
        return simulate(
            FIFO,
            object,
            {},
            trace=trace,
            btf=target.btf,
            cache_folder=target.cache,
            judged=judged,
        )

    return call


def test_the_workload_in_question_is_judged_by_its_objective(ask: Ask) -> None:
    """The gain is by what is asked for, and a note says what becomes of each part; who is guarded
    is told by name. It is remembered, and for another question it is another answer."""
    stress = ask(None, trace=None)
    wanted = JudgedBy(
        "comm:pong", "response p99 < 5ms", (("comm:burn*", "cpu not worse than 50%"),)
    )
    found = ask(wanted)
    assert found.passed
    assert "gain_objective_percent" in found.figures
    assert found.figures["gain_delay_p99_percent"]
    (note,) = (each.message for each in found.messages if each.severity == "note")
    assert "'pong', judged by `response p99; completions not worse than 2%`: response p99 x" in note
    # The stress set was not run again, and what it said still stands.
    assert found.figures["of"] == stress.figures["of"] + 1
    assert found.figures["score"] == stress.figures["score"]
    assert ask(wanted).reused
    assert not ask(JudgedBy("comm:ping", "completions")).reused


def test_what_cannot_be_predicted_is_no_fault_of_the_candidate(ask: Ask) -> None:
    """A number of the application's own is noted, and the rest is judged by its kind."""
    found = ask(JudgedBy("comm:pong", "measurement frames higher"))
    assert found.passed
    assert any("application's own number" in each.message for each in found.messages)
    assert any("'pong', judged by `response p95" in each.message for each in found.messages)


def test_of_a_workload_that_was_not_recorded_nothing_is_predicted(ask: Ask) -> None:
    """What becomes of others is no answer for it."""
    found = ask(JudgedBy("comm:nobody", "response p99"))
    assert found.passed
    assert "gain_objective_percent" not in found.figures
    assert any("is not in the recording" in each.message for each in found.messages)
