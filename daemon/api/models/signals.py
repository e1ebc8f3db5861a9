# SPDX-License-Identifier: GPL-2.0-or-later
"""What the signals program measures, for each interval."""

from pydantic import Field

from daemon.api.models.base import Answer


class SignalPoint(Answer):
    """One interval of one workload.

    An activation is from a thread's wakeup to its next sleep. `activations_per_s` is how many
    ended, `burst_…` their CPU time (half of it is in bursts of `burst_half_us` or more); the shares
    are the parts of their time spent waiting after the wakeup and after losing the CPU.
    `response_…` is their duration and `completions_per_s` how many ended; for an event loop both
    are per event.
    """

    at: float
    delay_p50_us: float
    delay_p99_us: float
    slice_mean_us: float
    run_share: float
    wakeups_per_s: float
    involuntary_per_s: float
    migrations_per_s: float
    scheduler: str = ""
    response_p50_us: float = 0.0
    response_p99_us: float = 0.0
    completions_per_s: float = 0.0
    activations_per_s: float = 0.0
    burst_mean_us: float = 0.0
    burst_p50_us: float = 0.0
    burst_half_us: float = 0.0
    waiting_share: float = 0.0
    preempted_share: float = 0.0


class SignalsView(Answer):
    """The newest interval from the signals program; a series if a workload is named."""

    interval_s: float
    at: float
    line: dict[str, object] | None = None
    workload: str = ""
    series: list[SignalPoint] = Field(default_factory=list)
