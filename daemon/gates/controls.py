# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate `controls`: what the cgroups of this machine use, and whether a candidate honours it.

    python -m daemon.gates.controls --object FILE [--btf FILE]

As a program it judges a compiled scheduler by this machine and its configuration, and prints the
answer as one line of JSON. The command needs that where no daemon answers.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from bpf.kernel import sysfs
from bpf.kernel.callbacks import (
    read_kernel_callbacks,
    read_object_callbacks,
    read_program_callbacks,
)
from bpf.kernel.controls import ControlsInUse, ResourceControl, read_controls
from daemon.api.models import Gate, GateMessage, GateResult, ParameterValue
from daemon.config import PATH, GatesTable, load
from daemon.decide.controls import DeclaredControls, MachineControls, judge
from daemon.gates.kernel_types import types_for
from process import Fault, named_path

# How long one reading of the cgroups is used, seconds. A candidate is judged anew each time.
FRESH_S = 1.0
# Options of third-party schedulers without which they ignore a control that they have a callback
# for (scx_lavd).
_SWITCHES = {"enable-cpu-bw": ResourceControl.MAX}


def of_object(object: Path) -> DeclaredControls:
    """What a compiled scheduler declares."""
    return DeclaredControls(read_object_callbacks(object))


def of_program(
    program: Path, options: Iterable[str], values: Mapping[str, ParameterValue]
) -> DeclaredControls:
    """What an installed program declares that has these options and is started with these values,
    as far as the object in it says.
    """
    given = {name.replace("_", "-") for name, value in values.items() if value is True}
    off = {
        control: option
        for option, control in _SWITCHES.items()
        if option in options and option not in given
    }
    return DeclaredControls(read_program_callbacks(program), off)


class ControlsGate:
    """Judges candidates by this machine and its operator's settings. `read` reads the cgroups."""

    def __init__(
        self,
        *,
        settings: GatesTable,
        sysfs_root: Path = sysfs.ROOT,
        read: Callable[[], ControlsInUse] = read_controls,
    ) -> None:
        self._settings = settings
        self._root = sysfs_root
        self._read = read
        self._in_use = ControlsInUse()
        self._fresh_until = 0.0

    def machine(self) -> MachineControls:
        """What this machine uses, and what its kernel knows."""
        if time.monotonic() >= self._fresh_until:
            self._in_use = self._read()
            self._fresh_until = time.monotonic() + FRESH_S
        return MachineControls(
            self._in_use,
            read_kernel_callbacks(types_for(self._settings, self._root)),
            can_load=sysfs.read(self._root).supported,
        )

    def forget(self) -> None:
        """Read the cgroups anew the next time."""
        self._fresh_until = 0.0

    async def __call__(self, declares: Callable[[], DeclaredControls]) -> GateResult:
        """The gate's answer about a candidate. `declares` reads the candidate."""
        return await asyncio.to_thread(self._answer, declares)

    def _answer(self, declares: Callable[[], DeclaredControls]) -> GateResult:
        start = time.monotonic()
        machine = self.machine()
        judgement = judge(machine, declares(), frozenset(self._settings.allow_ignoring))
        seconds = time.monotonic() - start
        in_use = machine.in_use
        counts = {str(each): float(len(in_use.of(each))) for each in in_use.used}
        return GateResult(
            gate=Gate.CONTROLS,
            passed=judgement.passed,
            seconds=seconds,
            messages=list(judgement.messages),
            figures={"seconds": seconds, "groups": float(in_use.groups), **counts},
        )


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m daemon.gates.controls", allow_abbrev=False)
    parser.add_argument("--object", type=named_path, required=True, metavar="FILE")
    parser.add_argument(
        "--btf",
        type=named_path,
        metavar="FILE",
        help="types of a kernel with sched_ext, if this one has none",
    )
    parser.add_argument(
        "--config", type=named_path, default=PATH, metavar="FILE", help="(default: %(default)s)"
    )
    asked = parser.parse_args(words)
    trouble: list[GateMessage] = []
    settings = GatesTable()
    try:
        settings = load(asked.config).gates
    except Fault as fault:
        said = f"the configuration cannot be used, so nothing is allowed by it: {fault}"
        trouble.append(GateMessage(severity="warning", message=said))
    if asked.btf:
        settings = settings.model_copy(update={"kernel_types": str(asked.btf)})
    gate = ControlsGate(settings=settings)
    answer = asyncio.run(gate(lambda: of_object(asked.object)))
    told = answer.model_copy(update={"messages": [*answer.messages, *trouble]})
    sys.stdout.write(told.model_dump_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
