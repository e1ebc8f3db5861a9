# SPDX-License-Identifier: GPL-2.0-or-later
"""The schedulers that are compared, beside the kernel's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from process import Fault, FaultType
from scheduler_library.catalog import load_catalog
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy

DEFAULT = "default"
LIBRARY = ("fifo", "fair", "latency", "batch", "locality", "jobs")
POLICIES: Mapping[str, str] = MappingProxyType(
    {
        "slice 3ms": "order vtime; slice 3ms",
        "fifo 100ms": "order fifo; slice 100ms",
        "front first": 'comm ~ "front*" { latency; preempt; slice 1ms }; * { slice 10ms }',
        "front last": 'comm ~ "front*" { share <= 30% }',
        "shortest first": "order by expected_runtime asc; slice 10ms",
    }
)


@dataclass(frozen=True)
class ComparedScheduler:
    """`file`: the name of its source; `expects`: it gets expected runtimes from userspace."""

    name: str
    file: str
    source: Path | str
    expects: bool


def schedulers(cpus: int) -> tuple[ComparedScheduler, ...]:
    """All but the default.

    Raises:
        Fault: BAD_POLICY, and what the catalog raises.
    """
    catalog = load_catalog(Path("/nonexistent"))
    found = []
    for name in LIBRARY:
        source = catalog.get(name).source
        assert source is not None
        found.append(ComparedScheduler(name, f"{name}.bpf.c", source, name == "jobs"))
    for name, line in POLICIES.items():
        compiled = compile_policy(line, machine=TargetMachine(cpus, lambda _: None))
        if not isinstance(compiled, CompiledPolicy):
            raise Fault(FaultType.BAD_POLICY, f"{line} is no policy of ours")
        file = f"{name.replace(' ', '_')}.bpf.c"
        found.append(
            ComparedScheduler(name, file, compiled.source, compiled.facts.expected_runtime)
        )
    return tuple(found)
