# SPDX-License-Identifier: GPL-2.0-or-later
"""Recognises the kind of workload in a file by its content, and handles each."""

from pathlib import Path

from process import Fault, FaultType
from simulator.scenario import Scenario, SimulatedMachine
from simulator.traces import replay
from simulator.traces.model import RecordedTrace
from simulator.traces.perf import read_perf_data, read_perf_script
from simulator.traces.replay import ReplayedTrace
from simulator.traces.rtapp import RtApp, read_rtapp
from simulator.traces.text import lines_of, read_text

# A recorded workload, or a written one.
Trace = RecordedTrace | RtApp

_PERF_DATA = b"PERFILE2"
_LOOK_BYTES = 4096


def read_trace(path: Path) -> Trace:
    """A workload from a file: a trace of ours, `perf.data`, text of `perf script`, rt-app JSON.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, BAD_REQUEST with the place in the file, and for `perf.data`
            MISSING_TOOL and CHILD_FAILED.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_LOOK_BYTES)
    except FileNotFoundError:
        raise Fault(FaultType.NOT_FOUND, "the trace does not exist", where=str(path)) from None
    except OSError as error:
        raise Fault(
            FaultType.BAD_REQUEST,
            "the trace cannot be read",
            where=str(path),
            why=error.strerror or str(error),
        ) from None
    if start.startswith(_PERF_DATA):
        return read_perf_data(path)
    if start.startswith(b"\x1f\x8b"):
        start = next(lines_of(path, most_bytes=1 << 20, longest=1 << 20), b"")
    text = start.lstrip()
    if text.startswith(b'{"schedpilot_trace"'):
        return read_text(path)
    if text.startswith((b"{", b"/*", b"//")):
        return read_rtapp(path)
    if b"sched:sched_" in start:
        return read_perf_script(path)
    raise Fault(
        FaultType.BAD_REQUEST,
        "this is not a known kind of workload",
        where=str(path),
        why=(
            "it is neither a trace of schedpilot, nor perf.data, nor output of `perf script`, "
            "nor JSON for rt-app"
        ),
        hint="record one: schedpilot record --output FILE",
    )


def machine_for(trace: Trace, base: SimulatedMachine, cpus: int = 0) -> SimulatedMachine:
    """The machine to simulate the workload on: as recorded, or as `base`; `cpus` overrides."""
    if isinstance(trace, RecordedTrace):
        return replay.machine_of(trace, base, cpus)
    return trace.machine(base, cpus)


def replay_of(trace: Trace, machine: SimulatedMachine, seed: int) -> ReplayedTrace:
    """The workload as a scenario, with its differences from the recording or text.

    Raises:
        Fault: BAD_REQUEST if steps cannot express an rt-app workload.
    """
    if isinstance(trace, RecordedTrace):
        return replay.replay_of(trace, machine, seed)
    return trace.replay(machine, seed)


def scenario_of(trace: Trace, machine: SimulatedMachine, seed: int) -> Scenario:
    """Like `replay_of`, the scenario alone."""
    return replay_of(trace, machine, seed).scenario
