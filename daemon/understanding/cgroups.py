# SPDX-License-Identifier: GPL-2.0-or-later
"""A cgroup's facts about its tasks: unit, pressure, limits (the kernel's cgroup-v2.rst).

The folder is found by the path that the kernel gives for a process in it, never by a path from a
client.
"""

from dataclasses import dataclass
from pathlib import Path

from bpf.common.workload_id import readable
from daemon.api.display import displayable
from daemon.api.models import LimitsView
from daemon.understanding.proc import parse_pressure, read

# The mount points of the unified hierarchy: alone, or beside the first version's.
MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# The kernel's default of cpu.weight.
USUAL_WEIGHT = 100
_UNITS = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")


@dataclass(frozen=True)
class Pressure:
    cpu: float | None
    io: float | None
    memory: float | None


def unit_of(path: bytes) -> str:
    """The innermost systemd unit that a path names; empty if there is none.

    Folders below a service are the service's own, those above it are slices.
    """
    names = [readable(each) for each in path.split(b"/")]
    found = [each for each in names if each.endswith(_UNITS) and len(each) < 256]
    for name in reversed(found):
        if not name.endswith(".slice"):
            return name
    return found[-1] if found else ""


def folder_of(path: bytes, mounts: tuple[Path, ...] = MOUNTS) -> Path | None:
    """The folder of a cgroup; None if it cannot be one.

    `..` leads out of the tree: the kernel writes it for cgroups outside our own namespace.
    """
    parts = path.strip(b"/").split(b"/")
    if any(each in (b"", b".", b"..") for each in parts) or b"\0" in path:
        return None
    mount = next((each for each in mounts if (each / "cgroup.controllers").exists()), None)
    if mount is None:
        return None
    folder = mount.joinpath(*(each.decode("utf-8", "surrogateescape") for each in parts))
    try:
        return folder if folder.is_dir() else None
    except OSError:  # longer than a path may be, so it is not ours
        return None


def pressure_in(folder: Path) -> Pressure:
    cpu, io, memory = (
        parse_pressure(read(folder / f"{of}.pressure")) for of in ("cpu", "io", "memory")
    )
    return Pressure(cpu, io, memory)


def limits_in(folder: Path) -> LimitsView | None:
    """The limits that the cgroup sets, None for those at their default."""
    quota = _quota(read(folder / "cpu.max"))
    weight = _number(read(folder / "cpu.weight"))
    allowed = readable(read(folder / "cpuset.cpus", 256)).strip()
    counts = dict(line.partition(b" ")[::2] for line in read(folder / "cpu.stat").splitlines())
    periods = _number(counts.get(b"nr_periods", b""))
    throttled = _number(counts.get(b"nr_throttled", b""))
    if quota is None and weight in (None, USUAL_WEIGHT) and not allowed:
        return None
    return LimitsView(
        cpus=quota,
        weight=weight,
        throttled_share=round(throttled / periods, 3)
        if periods and throttled is not None
        else None,
        allowed_cpus=displayable(allowed, 80),
    )


def _quota(raw: bytes) -> float | None:
    fields = raw.split()
    if len(fields) != 2 or not fields[0].isdigit() or not fields[1].isdigit() or not int(fields[1]):
        return None
    return round(int(fields[0]) / int(fields[1]), 3)


def _number(raw: bytes) -> int | None:
    text = raw.strip()
    return int(text) if text.isdigit() and len(text) < 20 else None
