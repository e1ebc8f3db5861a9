# SPDX-License-Identifier: GPL-2.0-or-later
"""The prediction of the gate `simulate` for a recorded workload, and its criteria."""

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
    """The gain is that of the request's objective, a note reports each part, and guards are
    reported by name. The answer is remembered; another question has another answer."""
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
    # The stress set did not run again, and its result still holds.
    assert found.figures["of"] == stress.figures["of"] + 1
    assert found.figures["score"] == stress.figures["score"]
    assert ask(wanted).reused
    assert not ask(JudgedBy("comm:ping", "completions")).reused


def test_what_cannot_be_predicted_is_no_fault_of_the_candidate(ask: Ask) -> None:
    """A number of the application's own is noted, and the rest is judged by the workload's kind."""
    found = ask(JudgedBy("comm:pong", "measurement frames higher"))
    assert found.passed
    assert any("application's own number" in each.message for each in found.messages)
    assert any("'pong', judged by `response p95" in each.message for each in found.messages)


def test_of_a_workload_that_was_not_recorded_nothing_is_predicted(ask: Ask) -> None:
    """Figures of other workloads are no answer for it."""
    found = ask(JudgedBy("comm:nobody", "response p99"))
    assert found.passed
    assert "gain_objective_percent" not in found.figures
    assert any("is not in the recording" in each.message for each in found.messages)
