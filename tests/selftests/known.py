# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's selftests for sched_ext: what each expects, and how its scheduler is set up.

The expectation comes from the test's own C. Two things are written down here: the constants that
its userspace sets before the scheduler is attached, and actions of the test that have no
counterpart here.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

CPUS = 4


class Verdict(StrEnum):
    """What happens to a scheduler."""

    RUNS = "runs"
    EXITS = "exits by itself"
    ERROR = "ends with an error"
    REFUSED = "is not loaded"


@dataclass(frozen=True)
class Case:
    """One scheduler in one setting. `test` is the C file with the expectation."""

    scheduler: str
    test: str
    parameters: dict[str, str] = field(default_factory=dict)
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.scheduler} {self.setting}".rstrip()

    def source(self, folder: Path) -> str:
        """The scheduler, after the changes by the test's userspace and Makefile."""
        text = (folder / f"{self.scheduler}.bpf.c").read_text()
        for pattern, new in _EDITS.get(str(self), ()):
            text, count = re.subn(pattern, new, text, count=1, flags=re.DOTALL)
            if not count:
                raise ValueError(f"{self}: {pattern} is not in it any more")
        return _MAKEFILE + text


# Constants that a test sets, in each of its settings.
_SETTINGS: dict[str, dict[str, dict[str, str]]] = {
    "exit": {
        name: {"exit_point": str(number)}
        for number, name in enumerate(
            ("select_cpu", "enqueue", "dispatch", "enable", "init_task", "init")
        )
    },
    "dequeue": {f"scenario {n}": {"test_scenario": str(n)} for n in range(7)},
    "dsp_local_on": {"": {"nr_cpus": str(CPUS)}},
    "cyclic_kick_wait": {"": {"test_cpu_a": "0", "test_cpu_b": "1", "test_cpu_c": "2"}},
    "dequeue_remote": {
        "by LOCAL_ON": {"test_use_move_to_local": "false"},
        "by move_to_local": {"test_use_move_to_local": "true"},
    },
    "hotplug": {"with callbacks": {}, "without": {}},
    "numa": {"": {"__COMPAT_SCX_PICK_IDLE_IN_NODE": "2"}},
    "nohz_tick": {
        "infinite": {"test_cpu": "1", "finite_phase": "false"},
        "finite": {"test_cpu": "1", "finite_phase": "true"},
    },
}
# The tests' Makefile sets this for all of them.
_MAKEFILE = '#pragma clang diagnostic ignored "-Wincompatible-function-pointer-types"\n'
# Changes that userspace makes to ops before it loads them. Here an object belongs to one scheduler.
_EDITS: dict[str, tuple[tuple[str, str], ...]] = {
    "hotplug with callbacks": (
        (r'SEC\("\.struct_ops\.link"\)\s+struct sched_ext_ops hotplug_nocb_ops.*?\n};', ""),
    ),
    "hotplug without": (
        (r'SEC\("\.struct_ops\.link"\)\s+struct sched_ext_ops hotplug_cb_ops.*?\n};', ""),
    ),
    "numa": ((r"\.name\b", ".flags = SCX_OPS_BUILTIN_IDLE_PER_NODE, .name"),),
    "nohz_tick infinite": ((r"\.name\b", ".flags = SCX_OPS_ENQ_LAST, .name"),),
    "nohz_tick finite": ((r"\.name\b", ".flags = SCX_OPS_ENQ_LAST, .name"),),
}
# Schedulers whose test has another name.
_TESTS = {"maybe_null_fail_dsp": "maybe_null", "maybe_null_fail_yld": "maybe_null"}


def cases(folder: Path) -> list[Case]:
    """Every scheduler, in each of its settings."""
    found = []
    for path in sorted(folder.glob("*.bpf.c")):
        name = path.name.removesuffix(".bpf.c")
        for setting, parameters in _SETTINGS.get(name, {"": {}}).items():
            found.append(Case(name, _TESTS.get(name, name), parameters, setting))
    return found


def expected(folder: Path, case: Case) -> Verdict:
    """What the test's own C says about the scheduler."""
    text = (folder / f"{case.test}.c").read_text()
    refused = (
        rf"Should failed to open and load {case.scheduler} ",
        r"loaded when it should have been rejected",
    )
    if any(re.search(each, text) for each in refused):
        return Verdict.REFUSED
    if "Incorrectly stayed loaded" in text:
        return Verdict.ERROR
    kinds = re.findall(r"SCX_EQ\([^;]*\bkind, EXIT_KIND\(SCX_EXIT_(\w+)\)\)", text)
    kinds += re.findall(r"\bkind != EXIT_KIND\(SCX_EXIT_(\w+)\)", text)
    kinds += re.findall(r"\bkind = SCX_KIND_VAL\(SCX_EXIT_(\w+)\)", text)
    if "ERROR" in kinds:
        return Verdict.ERROR
    if "UNREG_BPF" in kinds:
        return Verdict.EXITS
    return Verdict.RUNS
