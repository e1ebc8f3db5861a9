# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own state of sched_ext; never the intended one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path("/sys/kernel/sched_ext")


@dataclass(frozen=True)
class KernelState:
    """One reading of `/sys/kernel/sched_ext`.

    `state` is enabled, enabling, disabling or disabled, and empty if the kernel has no sched_ext.
    `ops` is the root scheduler's name, empty if there is none. The counters are -1 if the kernel
    does not show them; `events` (6.15) counts since the enabling, under the kernel's names, which
    change with its version.
    """

    state: str = ""
    ops: str = ""
    switch_all: bool = False
    enable_seq: int = -1
    nr_rejected: int = -1
    hotplug_seq: int = -1
    events: Mapping[str, int] = field(default_factory=dict)

    @property
    def supported(self) -> bool:
        return bool(self.state)

    @property
    def enabled(self) -> bool:
        return self.state == "enabled"


def parse_events(text: str) -> dict[str, int]:
    """The lines `NAME VALUE` of `root/events`; anything else is left out."""
    events: dict[str, int] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name.isidentifier() and value.strip().lstrip("-").isdecimal():
            events[name] = int(value)
    return events


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:  # absent, or the scheduler left during the reading
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else -1


def read(root: Path = ROOT) -> KernelState:
    """Read the whole state. Missing values are empty or -1; nothing is raised."""
    return KernelState(
        state=_text(root / "state"),
        ops=_text(root / "root" / "ops"),
        switch_all=_number(root / "switch_all") == 1,
        enable_seq=_number(root / "enable_seq"),
        nr_rejected=_number(root / "nr_rejected"),
        hotplug_seq=_number(root / "hotplug_seq"),
        events=parse_events(_text(root / "root" / "events")),
    )
