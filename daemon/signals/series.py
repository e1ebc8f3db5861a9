# SPDX-License-Identifier: GPL-2.0-or-later
"""The recent past of each workload, packed: an hour of it in a few megabytes."""

import struct
from collections import OrderedDict, deque

from daemon.api.models import SignalPoint

# time as double, fourteen figures as float, two shares as half float, then the scheduler's index:
# 69 bytes per point.
_POINT = struct.Struct("<d14f2eB")
_AT = struct.Struct("<d")
# How many workloads have a series; the one unseen for the longest is removed first.
MOST_WORKLOADS = 128
# Points per workload: an hour at the default interval.
MOST_POINTS = 720


class SignalSeries:
    """Ring of `SignalPoint` for each workload."""

    def __init__(self) -> None:
        self._rings: OrderedDict[str, deque[bytes]] = OrderedDict()
        self._schedulers: list[str] = [""]

    def add(self, workload: str, point: SignalPoint) -> None:
        ring = self._rings.setdefault(workload, deque(maxlen=MOST_POINTS))
        self._rings.move_to_end(workload)
        if len(self._rings) > MOST_WORKLOADS:
            self._rings.popitem(last=False)
        ring.append(
            _POINT.pack(
                point.at,
                point.delay_p50_us,
                point.delay_p99_us,
                point.slice_mean_us,
                point.run_share,
                point.wakeups_per_s,
                point.involuntary_per_s,
                point.migrations_per_s,
                point.response_p50_us,
                point.response_p99_us,
                point.completions_per_s,
                point.activations_per_s,
                point.burst_mean_us,
                point.burst_p50_us,
                point.burst_half_us,
                point.waiting_share,
                point.preempted_share,
                self._index(point.scheduler),
            )
        )

    def _index(self, scheduler: str) -> int:
        if scheduler not in self._schedulers:
            if len(self._schedulers) > 255:
                return 0
            self._schedulers.append(scheduler)
        return self._schedulers.index(scheduler)

    def workloads(self) -> list[str]:
        return list(self._rings)

    def last(self, workload: str) -> SignalPoint | None:
        ring = self._rings.get(workload)
        return self._unpack(ring[-1]) if ring else None

    def since(self, workload: str, at: float) -> list[SignalPoint]:
        """The points of a workload from Unix time `at` on."""
        ring = self._rings.get(workload, ())
        # Usually only the last few of many are wanted, and the time is the first field of each.
        return [self._unpack(raw) for raw in ring if _AT.unpack_from(raw)[0] >= at]

    def _unpack(self, raw: bytes) -> SignalPoint:
        at, *figures, index = _POINT.unpack(raw)
        delay_p50, delay_p99, slice_mean, share, wakeups, involuntary, migrations = figures[:7]
        response_p50, response_p99, completions, activations = figures[7:11]
        burst, burst_p50, half, waiting, preempted = figures[11:]
        return SignalPoint.model_construct(
            at=at,
            delay_p50_us=delay_p50,
            delay_p99_us=delay_p99,
            slice_mean_us=slice_mean,
            run_share=share,
            wakeups_per_s=wakeups,
            involuntary_per_s=involuntary,
            migrations_per_s=migrations,
            scheduler=self._schedulers[index],
            response_p50_us=response_p50,
            response_p99_us=response_p99,
            completions_per_s=completions,
            activations_per_s=activations,
            burst_mean_us=burst,
            burst_p50_us=burst_p50,
            burst_half_us=half,
            waiting_share=waiting,
            preempted_share=preempted,
        )
