# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes of a workload as a tree, small enough to read. Pure."""

from collections.abc import Mapping

MOST_SHOWN = 12
MOST_DEPTH = 8


def shown(
    parents: Mapping[int, int], weights: Mapping[int, float], most: int = MOST_SHOWN
) -> list[tuple[int, int]]:
    """Which processes to show and how deep each is nested, parents before their children.

    Those with most weight, and their ancestors while there is room: a compiler says more with the
    `make` above it. `parents` has every process of the workload; a parent that is not a key lies
    outside.
    """
    kept: set[int] = set()
    for pid in sorted(parents, key=lambda each: (-weights.get(each, 0.0), each)):
        path = [each for each in _path(pid, parents) if each not in kept]
        if len(kept) + len(path) <= most:
            kept.update(path)
        elif len(kept) < most:
            kept.add(pid)
    children: dict[int, list[int]] = {}
    for pid in kept:
        above = next((each for each in _path(pid, parents)[1:] if each in kept), 0)
        children.setdefault(above, []).append(pid)
    found: list[tuple[int, int]] = []
    waiting = [(pid, 0) for pid in sorted(children.get(0, ()), reverse=True)]
    while waiting:
        pid, depth = waiting.pop()
        found.append((pid, depth))
        waiting += [(each, depth + 1) for each in sorted(children.get(pid, ()), reverse=True)]
    return found


def _path(pid: int, parents: Mapping[int, int]) -> list[int]:
    """The process and those above it in the workload, innermost first; bounded, because a slow
    reading may have made a circle of reused ids.
    """
    path: list[int] = []
    while pid in parents and pid not in path and len(path) < MOST_DEPTH:
        path.append(pid)
        pid = parents[pid]
    return path
