# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads how much CPU time the cgroups with a quota use.

Only those are read, two or three files each. Which ones have a quota is looked up when reading
begins, and again now and then.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bpf.kernel.controls import (
    Quota,
    ResourceControl,
    mounted,
    parse_quota,
    parse_usage,
    read_controls,
    read_file,
)
from daemon.decide.observation import QuotaUse

# How often all cgroups are searched for quotas, seconds.
SEARCH_S = 60.0
# More groups with a quota than this are not watched.
MOST_WATCHED = 256


@dataclass(frozen=True, slots=True)
class _Reading:
    """`at`: monotonic time, seconds."""

    at: float
    usage_us: int
    quota: Quota


class QuotaSource(Protocol):
    """The part of `QuotaReader` that the daemon uses."""

    def forget(self) -> None: ...
    def read(self) -> tuple[QuotaUse, ...]: ...


class QuotaReader:
    """One reading follows the other; each gives the use since the one before."""

    def __init__(
        self, *, mount: Path | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._mount = mount
        self._clock = clock
        self._groups: tuple[str, ...] = ()
        self._search_at: float | None = None
        self._before: dict[str, _Reading] = {}

    def forget(self) -> None:
        """Nothing needs watching for now; the next reading begins anew."""
        self._groups, self._search_at, self._before = (), None, {}

    def read(self) -> tuple[QuotaUse, ...]:
        """The use of each group with a quota since the last reading, those without one left out.

        A group that is gone or that lost its quota is left out, too.
        """
        mount = self._mount or mounted()
        if mount is None:
            return ()
        if self._search_at is None or self._clock() >= self._search_at:
            quotas = read_controls(mount).of(ResourceControl.MAX)
            self._groups = tuple(each.path for each in quotas[:MOST_WATCHED])
            self._search_at = self._clock() + SEARCH_S
        before, self._before = self._before, {}
        found = []
        for group in self._groups:
            now = self._reading(bytes(mount) + os.fsencode(group))
            if now is None:
                continue
            self._before[group] = now
            last = before.get(group)
            # A changed quota applies from some moment between the two.
            if last is not None and last.quota == now.quota and now.at > last.at:
                used_us, span_us = now.usage_us - last.usage_us, 1e6 * (now.at - last.at)
                found.append(QuotaUse(group, max(0, used_us), span_us, now.quota))
        return tuple(found)

    def _reading(self, folder: bytes) -> _Reading | None:
        quota = parse_quota(read_file(folder, b"cpu.max"), read_file(folder, b"cpu.max.burst"))
        usage_us = parse_usage(read_file(folder, b"cpu.stat"))
        if quota is None or usage_us is None:
            return None
        return _Reading(self._clock(), usage_us, quota)
