# SPDX-License-Identifier: GPL-2.0-or-later
"""The runner's output as models, and the faults that its failures give."""

import json
from pathlib import Path

import pytest

from bpf.runner.lines import Attached, Exited, Failed, Stats, parse_line
from bpf.runner.process import fault_of, spell
from process import Fault, FaultType


def _line(**members: object) -> bytes:
    return json.dumps(members).encode()


def _failed(stage: str, **members: object) -> Fault:
    line = parse_line(
        _line(
            **{
                "event": "failed",
                "ops": "x",
                "stage": stage,
                "message": "m",
                "cause": "c",
                "hint": "h",
                **members,
            }
        )
    )
    assert isinstance(line, Failed)
    return fault_of(line, Path("x.bpf.o"))


def test_a_confirmed_scheduler_is_read() -> None:
    """`attached` carries the kernel's name and sequence; members of later versions are ignored."""
    line = parse_line(
        _line(event="attached", ops="fifo", enable_seq=3, enable_ms=80, warning="", later=1)
    )
    assert line == Attached(event="attached", ops="fifo", enable_seq=3, enable_ms=80)


def test_counters_of_unknown_kernels_are_kept() -> None:
    """Event counters have the names that the kernel gives them."""
    line = parse_line(
        _line(event="stats", monotonic_ms=1, state="enabled", events={"SCX_EV_X": 2}, counters=[5])
    )
    assert isinstance(line, Stats)
    assert line.events == {"SCX_EV_X": 2}
    assert line.counters == [5]


@pytest.mark.parametrize(
    ("kind", "by_request"),
    [(64, True), (65, False), (1025, False), (1026, False)],
)
def test_exit_kinds_are_told_apart(kind: int, by_request: bool) -> None:
    """Only a removal by userspace counts as requested; every case has its reason."""
    line = parse_line(_line(event="exited", ops="x", kind=kind, reason="r", message="m"))
    assert isinstance(line, Exited)
    assert line.by_request == by_request
    assert line.explain() == "r: m"


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'{"event":"surprise"}', b'{"event":1}'])
def test_what_is_not_in_the_contract_is_a_fault(raw: bytes) -> None:
    """A line outside the contract is a fault that quotes it, never a traceback."""
    with pytest.raises(Fault) as caught:
        parse_line(raw)
    assert caught.value.type is FaultType.CHILD_FAILED


@pytest.mark.parametrize(
    ("stage", "members", "type"),
    [
        ("open", {"errno": 4001}, FaultType.NOT_BPF),
        ("open", {"errno": 2}, FaultType.NOT_FOUND),
        ("set", {"errno": 2}, FaultType.BAD_PARAMETER),
        ("load", {"log": "-- BEGIN PROG LOAD LOG --\nR1 bad"}, FaultType.VERIFIER_REFUSED),
        ("load", {"errno": 12}, FaultType.LOAD_FAILED),
        ("attach", {"errno": 16}, FaultType.FOREIGN_SCHEDULER),
        ("attach", {"errno": 22}, FaultType.LOAD_FAILED),
        ("enable", {"exit": {"kind": 1025, "reason": "r", "message": "m"}}, FaultType.EJECTED),
    ],
)
def test_each_failure_has_its_own_fault(
    stage: str, members: dict[str, object], type: FaultType
) -> None:
    """The step and the kind of failure decide the fault's type, and the cause is always there."""
    fault = _failed(stage, **members)
    assert fault.type is type
    assert fault.why


def test_an_ejection_is_told_by_its_record() -> None:
    """For an ejection the kernel's own record is the cause, not our guess."""
    fault = _failed("enable", exit={"kind": 1025, "reason": "scx_bpf_error", "message": "no task"})
    assert fault.why == "scx_bpf_error: no task"


@pytest.mark.parametrize(
    ("name", "value"),
    [("a b", 1), ("a=b", 1), ("", 1), ("ok", 1.5), ("ok", "two words"), ("ok", "line\nbreak")],
)
def test_parameters_cannot_smuggle_commands(name: str, value: float | str) -> None:
    """Names and values that could be read as more than one word are refused."""
    with pytest.raises(Fault) as caught:
        spell(name, value)
    assert caught.value.type is FaultType.BAD_PARAMETER


def test_values_are_spelt_as_the_runner_reads_them() -> None:
    """Truth values become words, and whole numbers digits, even if they come as floats."""
    assert [spell("x", v) for v in (True, 7, 7.0, -1)] == ["true", "7", "7", "-1"]
