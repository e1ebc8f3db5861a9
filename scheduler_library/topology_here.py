# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads this machine's topology from sysfs.

A file that is absent, too long or not what it should be says nothing: the machine then has one
thing less by which CPUs differ. Nothing is raised.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from scheduler_library.cpu_list import parse_cpu_list
from scheduler_library.topology import SpeedSource, Topology, fast_ones

DEVICES = Path("/sys/devices")
# The longest list of CPUs (every other one of 8192) is shorter, and so is every number, bytes.
LONGEST_BYTES = 64 * 1024
# No CPU has more caches, data and instruction caches counted apart.
MOST_CACHES = 16
_NODE = re.compile(r"node([0-9]{1,5})")


def topology_here(devices: Path = DEVICES) -> Topology:
    """The CPUs that are online now, and their sets.

    Reads some ten small files for each core, again whenever other CPUs are online: hot-plugging is
    what changes a topology.
    """
    online = _list(devices / "system" / "cpu" / "online")
    return _topology(devices, online) if online else Topology()


@lru_cache(maxsize=1)
def _topology(devices: Path, online: frozenset[int]) -> Topology:
    cpus = devices / "system" / "cpu"
    fast, source = _fast(devices, online)
    return Topology(
        online,
        _nodes(devices / "system" / "node", online),
        tuple(_llcs(cpus, online)),
        tuple(_cores(cpus, online)),
        fast,
        source,
    )


def _text(path: Path) -> str:
    """The text of a file; "" if it cannot be read or is too long."""
    try:
        with path.open("rb") as file:
            found = file.read(LONGEST_BYTES + 1)
    except OSError:
        return ""
    return found.decode("ascii", "replace").strip() if len(found) <= LONGEST_BYTES else ""


def _list(path: Path) -> frozenset[int]:
    try:
        return parse_cpu_list(_text(path))
    except ValueError:
        return frozenset()


def _number(path: Path) -> int:
    """0 if it is none."""
    text = _text(path)
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0


def _nodes(folder: Path, online: frozenset[int]) -> dict[int, frozenset[int]]:
    found: dict[int, frozenset[int]] = {}
    try:
        places = sorted(folder.iterdir())
    except OSError:
        places = []
    for place in places:
        name = _NODE.fullmatch(place.name)
        cpus = _list(place / "cpulist") & online if name else frozenset()
        if name and cpus:
            found[int(name[1])] = cpus
    return found


def _llcs(cpus: Path, online: frozenset[int]) -> Iterator[frozenset[int]]:
    """Each last-level cache, by its first CPU. A CPU without caches in sysfs is in none."""
    seen: set[int] = set()
    for cpu in sorted(online):
        if cpu in seen:
            continue
        found = _last_cache(cpus / f"cpu{cpu}" / "cache") & online
        if cpu in found:
            seen |= found
            yield found


def _last_cache(folder: Path) -> frozenset[int]:
    """The CPUs that share the cache of the highest level here."""
    best, shared = 0, frozenset[int]()
    for number in range(MOST_CACHES):
        level = _number(folder / f"index{number}" / "level")
        if level > best:
            best, shared = level, _list(folder / f"index{number}" / "shared_cpu_list")
    return shared


def _cores(cpus: Path, online: frozenset[int]) -> Iterator[frozenset[int]]:
    seen: set[int] = set()
    for cpu in sorted(online):
        if cpu in seen:
            continue
        found = (_list(cpus / f"cpu{cpu}" / "topology" / "thread_siblings_list") & online) | {cpu}
        seen |= found
        yield frozenset(found)


def _fast(devices: Path, online: frozenset[int]) -> tuple[frozenset[int], SpeedSource | None]:
    """The fast CPUs by the first source that tells CPUs apart."""
    for source in SpeedSource:
        if source is SpeedSource.CORE_TYPE:
            fast = _list(devices / "cpu_core" / "cpus") & online
            if fast and _list(devices / "cpu_atom" / "cpus") & online - fast:
                return fast, source
            continue
        speeds = _speeds(devices / "system" / "cpu", source, online)
        if fast := fast_ones(speeds):
            return fast, source
    return frozenset(), None


def _speeds(cpus: Path, file: str, online: Iterable[int]) -> dict[int, int]:
    """The numbers in this file of every CPU; empty if one has none."""
    found: dict[int, int] = {}
    for cpu in online:
        number = _number(cpus / f"cpu{cpu}" / file)
        if not number:
            return {}
        found[cpu] = number
    return found
