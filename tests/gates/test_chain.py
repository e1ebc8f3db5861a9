# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates with the real compiler and simulator, for the lab's kernel; nothing is loaded."""

import asyncio
import tempfile
from pathlib import Path

import pytest

from bpf.kernel import sysfs
from daemon.api.models import Gate, GateResult
from daemon.config import GatesTable
from daemon.gates.chain import Gates
from daemon.gates.proof import Subject
from daemon.gates.simulation import simulation_gate
from tests.gates.conftest import ROOT, Heard, Pass
from tests.target import Target

FIFO = ROOT / "scheduler_library" / "schedulers" / "fifo" / "fifo.bpf.c"
BAD = ROOT / "tests" / "bpf" / "schedulers"
# It compiles, and loses every second task.
LOSER = """\
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u64 seen;

void BPF_STRUCT_OPS(loser_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (__sync_fetch_and_add(&seen, 1) % 2)
		return;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(loser_ops, .enqueue = (void *)loser_enqueue, .name = "loser");
"""


def of(gate: Gate, results: tuple[GateResult, ...]) -> GateResult:
    return next(each for each in results if each.gate is gate)


def test_a_sound_scheduler_passes_all_that_needs_no_kernel(through: Pass) -> None:
    """Static, build and simulation pass, with figures. The verifier did not run, and the answer
    says so: the candidate is not proven."""
    proof, heard = through(FIFO)
    assert [each.gate for each in proof.results] == [
        Gate.STATIC,
        Gate.BUILD,
        Gate.CONTROLS,
        Gate.SIMULATE,
        Gate.VERIFY,
    ]
    assert [each.passed for each in proof.results] == [True, True, True, True, False]
    simulated = of(Gate.SIMULATE, proof.results)
    assert simulated.figures["scenarios"] == simulated.figures["of"] >= 12
    assert "no sched_ext" in of(Gate.VERIFY, proof.results).skipped
    assert not proof.proven
    assert proof.stopped_by is not None
    assert proof.stopped_by.gate is Gate.VERIFY
    assert {each.gate for each in heard.results} == {each.gate for each in proof.results}


def test_the_simulation_tells_how_far_it_is_and_is_remembered(
    through: Pass, tmp_path: Path
) -> None:
    """Each scenario is reported when it is over; the same request again has the same answer, at
    once."""
    source = tmp_path / "told.bpf.c"
    source.write_text(FIFO.read_text() + "/* nobody has asked for this one */\n")
    first, heard = through(source)
    assert [step[2] for step in heard.steps] == list(range(1, heard.steps[0][3] + 1))
    assert {step[0] for step in heard.steps} == {Gate.SIMULATE}
    again, quiet = through(source)
    assert of(Gate.SIMULATE, again.results).reused
    assert not of(Gate.SIMULATE, first.results).reused
    assert of(Gate.SIMULATE, again.results).figures == of(Gate.SIMULATE, first.results).figures
    assert quiet.steps == []


def test_one_that_loses_tasks_is_stopped_by_the_simulator(through: Pass, tmp_path: Path) -> None:
    """A scheduler that compiles and does not work fails there, with the scenario, the cause and a
    remedy."""
    source = tmp_path / "loser.bpf.c"
    source.write_text(LOSER)
    proof, _ = through(source)
    stopped = proof.stopped_by
    assert stopped is not None
    assert stopped.gate in (Gate.STATIC, Gate.SIMULATE)
    first = next(each for each in stopped.messages if each.severity == "error")
    assert first.message
    assert first.cause or first.line
    assert first.fix
    assert Gate.CANARY not in {each.gate for each in proof.results}


def test_after_a_gate_that_fails_none_is_begun(through: Pass) -> None:
    """A source that does not compile is neither simulated nor shown to the verifier."""
    proof, heard = through(BAD / "broken.bpf.c")
    assert proof.stopped_by is not None
    assert proof.stopped_by.gate in (Gate.STATIC, Gate.BUILD)
    assert Gate.SIMULATE not in heard.started_gates
    assert Gate.VERIFY not in heard.started_gates
    assert proof.object is None


def test_a_gate_that_is_switched_off_says_so(through: Pass) -> None:
    """The operator left the simulation out, and that is no failure."""
    proof, heard = through(FIFO, simulate=False)
    simulated = of(Gate.SIMULATE, proof.results)
    assert simulated.passed
    assert "[gates] simulate" in simulated.skipped
    assert Gate.SIMULATE not in heard.started_gates


@pytest.mark.parametrize("types", ["", "/nowhere/vmlinux.btf"])
def test_without_types_nothing_is_built_and_that_is_said(types: str, tmp_path: Path) -> None:
    """On a kernel without sched_ext, and without another's types, only the static check runs."""
    if not types and sysfs.read().supported:
        pytest.skip("this kernel has sched_ext")
    gates = Gates(
        settings=GatesTable(kernel_types=types), cache=tmp_path, sysfs_root=tmp_path / "none"
    )
    proof = asyncio.run(gates(Subject("c-1", "fifo", FIFO, {}), Heard()))
    assert [each.gate for each in proof.results] == [Gate.STATIC, Gate.BUILD]
    assert proof.results[-1].skipped
    assert not proof.proven


def test_a_simulation_that_is_called_off_leaves_nothing(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the verifier refuses a candidate, its simulation stops, and the child's files are
    removed."""
    source = tmp_path / "off.bpf.c"
    source.write_text(FIFO.read_text() + "/* called off */\n")
    object = target.build(source, tmp_path).require()

    async def call_off() -> None:
        begun = asyncio.Event()
        simulating = asyncio.create_task(
            simulation_gate(
                source,
                object,
                {},
                trace=None,
                btf=target.btf,
                cache=target.cache,
                progress=lambda text, done, of: begun.set(),
            )
        )
        await begun.wait()
        simulating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await simulating

    # Not one of pytest's folders: the confined child is another user, and those are private.
    with tempfile.TemporaryDirectory(prefix="schedpilot-scratch-") as scratch:
        Path(scratch).chmod(0o755)
        monkeypatch.setattr(tempfile, "tempdir", scratch)
        asyncio.run(call_off())
        assert list(Path(scratch).iterdir()) == []
