# SPDX-License-Identifier: GPL-2.0-or-later
"""The verifier's answer is stored by kernel, object and parameters; the verifier here is fake."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bpf.runner.lines import Verified
from daemon.api.models import GateResult, ParameterValue
from daemon.gates import verifier
from daemon.gates.verifier import verify_gate
from process import Fault, FaultType, Priority, at_priority


@dataclass
class Kernel:
    """A kernel with sched_ext, whose verifier refuses the given objects, and counts."""

    folder: Path
    refuses: bool = False
    asked: int = 0
    seen: list[dict[str, ParameterValue]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "sysfs").mkdir()
        (self.folder / "sysfs" / "state").write_text("disabled\n")
        self.object = self.folder / "x.bpf.o"
        self.object.write_bytes(b"one object")

    async def verify(self, object: Path, *, parameters: Mapping[str, ParameterValue]) -> Verified:
        self.asked += 1
        self.seen.append(dict(parameters))
        if self.refuses:
            raise Fault(FaultType.VERIFIER_REFUSED, "the kernel did not accept the scheduler")
        return Verified(event="verified", ops="x_ops", load_ms=1)

    def gate(self, **parameters: ParameterValue) -> tuple[GateResult, str]:
        return asyncio.run(
            verify_gate(
                self.object,
                parameters,
                cache=self.folder / "cache",
                sysfs_root=self.folder / "sysfs",
                verifier=self.verify,
            )
        )


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    # No kernel's types are needed here.
    monkeypatch.setattr(verifier, "btf_digest", lambda btf: "the types")
    return Kernel(tmp_path)


def test_the_same_is_asked_once(kernel: Kernel) -> None:
    """The second answer is the first one, says so, and has the name of the ops."""
    first, ops = kernel.gate(slice_us=1)
    again, known = kernel.gate(slice_us=1)
    assert kernel.asked == 1
    assert (first.passed, first.reused) == (True, False)
    assert (again.passed, again.reused) == (True, True)
    assert ops == known == "x_ops"


def test_another_object_parameter_or_kernel_is_asked_anew(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question includes everything that decides the answer."""
    kernel.gate(slice_us=1)
    kernel.gate(slice_us=2)
    assert kernel.asked == 2
    kernel.object.write_bytes(b"another object")
    kernel.gate(slice_us=1)
    assert kernel.asked == 3
    monkeypatch.setattr(verifier, "btf_digest", lambda btf: "other types")
    kernel.gate(slice_us=1)
    assert kernel.asked == 4


def test_a_refusal_is_not_kept(kernel: Kernel) -> None:
    """The reason may have been temporary, so the next request asks the kernel again."""
    kernel.refuses = True
    refused, _ = kernel.gate()
    assert not refused.passed
    kernel.refuses = False
    passed, _ = kernel.gate()
    assert passed.passed
    assert not passed.reused
    assert kernel.asked == 2


def test_work_that_was_given_up_asks_no_verifier(kernel: Kernel) -> None:
    """A remembered answer is still given, and nothing else begins."""
    with at_priority(Priority.AHEAD) as work:
        work.give_up()
        with pytest.raises(Fault) as caught:
            kernel.gate()
    assert caught.value.type is FaultType.BUSY
    assert kernel.asked == 0
    kernel.gate()
    with at_priority(Priority.AHEAD) as work:
        work.give_up()
        assert kernel.gate()[0].reused
