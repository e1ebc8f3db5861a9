# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate `controls` among the others, and as a separate program."""

import asyncio
import json
from pathlib import Path

import pytest

from bpf.kernel.controls import ControlsInUse, GroupControls, Quota, ResourceControl
from daemon.api.models import CandidateRequest, Gate, GateResult
from daemon.config import GatesTable
from daemon.gates.candidates import Candidates
from daemon.gates.chain import Gates
from daemon.gates.controls import ControlsGate, main, of_object, of_program
from daemon.gates.proof import Proof, Subject
from scheduler_library.catalog import load_catalog
from tests.gates.conftest import ROOT, Heard
from tests.target import Target

FIFO = ROOT / "tests" / "bpf" / "schedulers" / "plain.bpf.c"
QUOTA = ControlsInUse(2, (GroupControls("/system.slice/shop.service", quota=Quota(1, 5)),))


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """A kernel with sched_ext and no loaded scheduler."""
    root = tmp_path / "sched_ext"
    root.mkdir()
    (root / "state").write_text("disabled\n")
    return root


class Machine:
    """A machine with cgroups that a test may change."""

    def __init__(self, sysfs: Path, in_use: ControlsInUse, **settings: object) -> None:
        self.in_use = in_use
        self.settings = GatesTable.model_validate({"simulate": False, **settings})
        self.gate = ControlsGate(settings=self.settings, sysfs_root=sysfs, read=lambda: self.in_use)

    def uses(self, in_use: ControlsInUse) -> None:
        self.in_use = in_use
        self.gate.forget()


def through(machine: Machine, target: Target, sysfs: Path) -> tuple[Proof, Heard]:
    class LabGates(Gates):
        types = target.btf

    gates = LabGates(
        settings=machine.settings, cache=target.cache, sysfs_root=sysfs, controls=machine.gate
    )
    heard = Heard()
    gates_answer = gates(Subject("c-plain", "plain", FIFO, {}), heard)
    return asyncio.run(gates_answer), heard


def test_a_scheduler_that_ignores_a_quota_goes_no_further(target: Target, sysfs: Path) -> None:
    """It is built. The answer names the groups with a quota, and it is neither simulated nor shown
    to the kernel."""
    proof, heard = through(Machine(sysfs, QUOTA), target, sysfs)
    assert [each.gate for each in proof.results] == [Gate.STATIC, Gate.BUILD, Gate.CONTROLS]
    stopped = proof.stopped_by
    assert stopped is not None
    assert stopped.gate is Gate.CONTROLS
    assert "shop.service" in stopped.messages[0].message
    assert stopped.figures["cpu.max"] == 1
    assert Gate.CONTROLS in heard.started_gates
    assert Gate.VERIFY not in heard.started_gates


def test_the_gate_answers_for_this_moment(target: Target, sysfs: Path, tmp_path: Path) -> None:
    """A proven candidate is judged again before it is used, because units come and go."""
    machine = Machine(sysfs, ControlsInUse())
    object = target.build(FIFO, tmp_path).require()

    async def gates(subject: Subject, told: Heard, before: tuple[GateResult, ...] = ()) -> Proof:
        controlled = await machine.gate(lambda: of_object(object))
        verified = GateResult(gate=Gate.VERIFY, passed=True, seconds=0)
        return Proof((controlled, verified), object, "plain")

    async def go() -> None:
        candidates = Candidates(
            catalog=lambda: load_catalog(None),
            folder=tmp_path / "candidates",
            gates=gates,  # type: ignore[arg-type]
            publish=lambda *_, **__: None,  # type: ignore[arg-type]
            controls=machine.gate,
        )
        made = await candidates.create(CandidateRequest(source=FIFO.read_text(), name="plain"))
        assert made.proven
        machine.uses(QUOTA)
        again = await candidates.current(made.id)
        assert not again.proven
        assert [each.gate for each in again.proof.results] == [Gate.CONTROLS, Gate.VERIFY]
        assert not candidates.get(made.id).proven
        machine.uses(ControlsInUse())
        assert (await candidates.current(made.id)).proven

    asyncio.run(go())


def test_a_program_declares_what_its_options_switch_on(tmp_path: Path) -> None:
    """If a program has a switch for quotas, it ignores them unless the switch is set."""
    program = tmp_path / "scx_lavd"
    assert of_program(program, ["enable-cpu-bw"], {}).switched_off == {
        ResourceControl.MAX: "enable-cpu-bw"
    }
    assert of_program(program, ["enable-cpu-bw"], {"enable_cpu_bw": True}).switched_off == {}
    assert of_program(program, ["slice-us"], {}).switched_off == {}
    assert of_program(program, [], {}).callbacks is None


def test_it_is_a_program_too(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It prints one line of JSON; a broken configuration allows nothing and is reported."""
    object = target.build(FIFO, tmp_path).require()
    broken = tmp_path / "schedpilot.toml"
    broken.write_text('[gates]\nallow_ignoring = ["cpu.maximum"]\n')
    words = [f"--object={object}", f"--btf={target.btf}", f"--config={broken}"]
    assert main(words) == 0
    answer = GateResult.model_validate(json.loads(capsys.readouterr().out))
    assert answer.gate is Gate.CONTROLS
    assert any("configuration cannot be used" in each.message for each in answer.messages)
