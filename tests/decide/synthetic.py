# SPDX-License-Identifier: GPL-2.0-or-later
"""Made-up recordings: delays drawn from known distributions, in the signals program's buckets."""

import json
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

from daemon.api.models import Arm, WindowView
from daemon.decide.histogram import Histogram, quantile
from daemon.decide.observation import Observation, WorkloadObservation

SERVICE = "cgroup:/system.slice/shop.service"
BATCH = "cgroup:/system.slice/batch.service"
START = 1_700_000_000.0


def seeded(seed: int) -> random.Random:
    """Random numbers that repeat."""
    return random.Random(seed)  # noqa: S311 - made-up delays, not secrets


def bucket(value_us: float) -> float:
    """The upper edge of the bucket of a delay: sixteen linear ones in each power of two."""
    if value_us < 1.024:
        return 1.024
    octave = math.floor(math.log2(value_us / 1.024))
    begin = 1.024 * 2.0**octave
    return begin * (1 + (math.floor(16 * (value_us / begin - 1)) + 1) / 16)


def histogram(delays_us: Iterable[float]) -> Histogram:
    counts: dict[float, int] = {}
    for each in delays_us:
        counts[bucket(each)] = counts.get(bucket(each), 0) + 1
    return tuple(sorted(counts.items()))


def workload(
    dice: random.Random,
    name: str = SERVICE,
    p99_us: float = 1000.0,
    *,
    count: int = 500,
    noise: float = 0.05,
    wakeups_per_s: float = 100.0,
    involuntary_per_s: float = 1.0,
    run_share: float = 0.5,
    longest_us: float | None = None,
) -> WorkloadObservation:
    """One interval with delays around a tenth of `p99_us`, of which 1 % are above `p99_us`.

    `noise` is the standard deviation of the logarithm of the interval's own p99.
    """
    # A lognormal distribution whose 99th percentile lies 2.326 deviations above the median.
    scale = math.log(10) / 2.326
    p99 = p99_us * math.exp(dice.gauss(0, noise))
    delays = [p99 / 10 * math.exp(dice.gauss(0, scale)) for _ in range(count)]
    if longest_us is not None:
        delays[0] = longest_us
    found = histogram(delays)
    return WorkloadObservation(
        id=name,
        threads=4,
        delay_count=count,
        delay_mean_us=sum(delays) / max(1, count),
        delay_p50_us=quantile(found, 0.5, max(delays, default=0.0)),
        delay_p99_us=quantile(found, 0.99, max(delays, default=0.0)),
        delay_max_us=max(delays, default=0.0),
        delay_hist=found,
        slice_mean_us=500.0,
        slice_count=count,
        wakeups_per_s=wakeups_per_s,
        involuntary_per_s=involuntary_per_s,
        run_share=run_share,
    )


def serving(
    dice: random.Random,
    name: str = SERVICE,
    *,
    response_us: float,
    ended: int,
    delay_p99_us: float = 1000.0,
    seconds: float = 5.0,
    open_us: Iterable[float] = (),
    noise: float = 0.05,
    run_share: float = 1.5,
) -> WorkloadObservation:
    """One interval of a workload that answered `ended` requests in about `response_us` each; the
    requests of `open_us` are unfinished at its end."""
    middle = response_us * math.exp(dice.gauss(0, noise))
    times = [middle * math.exp(dice.gauss(0, 0.2)) for _ in range(ended)]
    base = workload(
        dice,
        name,
        delay_p99_us,
        wakeups_per_s=ended / seconds,
        involuntary_per_s=ended / seconds,
        run_share=run_share,
        count=max(200, ended),
    )
    found = histogram(times)
    return replace(
        base,
        response_count=ended,
        response_mean_us=sum(times) / max(1, ended),
        response_p50_us=quantile(found, 0.5, max(times, default=0.0)),
        response_p99_us=quantile(found, 0.99, max(times, default=0.0)),
        response_max_us=max(times, default=0.0),
        response_hist=found,
        burst_count=ended,
        burst_mean_us=sum(times) / max(1, ended) / 2,
        open_hist=histogram(open_us),
        completions_per_s=ended / seconds,
        activations_per_s=ended / seconds,
        waited_us=sum(times) / 4,
        preempted_us=sum(times) / 4,
    )


def interval(number: int, *workloads: WorkloadObservation, seconds: float = 5.0) -> Observation:
    """The interval with this number, counted from the start of the recording."""
    return Observation(
        START + (number + 1) * seconds,
        seconds,
        {each.id: each for each in workloads},
    )


def recording(
    p99s_us: Iterable[float], seed: int = 1, noise: float = 0.05, count: int = 500
) -> list[Observation]:
    """A recording of the service alone, one interval for each p99."""
    dice = seeded(seed)
    return [
        interval(number, workload(dice, p99_us=p99, noise=noise, count=count))
        for number, p99 in enumerate(p99s_us)
    ]


def window(
    arm: Arm,
    value: float,
    *,
    samples: int = 1000,
    guarded: Mapping[str, float] | None = None,
    excluded: str = "",
    figures: Mapping[str, float] | None = None,
    longest: tuple[str, str] = ("", ""),
) -> WindowView:
    return WindowView(
        arm=arm,
        started=0.0,
        ended=10.0,
        value=value,
        samples=samples,
        guarded=dict(guarded or {}),
        excluded=excluded,
        figures=dict(figures or {}),
        longest_comm=longest[0],
        longest_workload=longest[1],
    )


def line_of(observation: Observation, cpus: int = 2) -> str:
    """The line that the signals program would have printed for it."""
    span = observation.interval_s
    return json.dumps(
        {
            "v": 1,
            "t_ns": round((observation.at - START) * 1e9),
            "time": observation.at,
            "interval_s": span,
            "machine": {
                "cpus": cpus,
                "utilisation": min(
                    1.0, sum(each.run_share for each in observation.workloads.values()) / cpus
                ),
                "context_switches_per_s": 100.0,
                "runnable": 1,
                "loadavg": [0.0, 0.0, 0.0],
                "perf": None,
                "perf_note": None,
                "psi_cpu": None,
                "sched_ext": None,
            },
            "workloads": [
                {
                    "id": each.id,
                    "threads": each.threads,
                    "delay_us": {
                        "count": each.delay_count,
                        "sum": each.delay_mean_us * each.delay_count,
                        "p50": each.delay_p50_us,
                        "p90": each.delay_p50_us,
                        "p99": each.delay_p99_us,
                        "max": each.delay_max_us,
                        "hist": each.delay_hist,
                    },
                    "slice_us": {
                        "count": each.slice_count,
                        "sum": each.slice_mean_us * each.slice_count,
                        "p50": each.slice_mean_us,
                        "p90": each.slice_mean_us,
                        "p99": each.slice_mean_us,
                        "max": each.slice_mean_us,
                        "hist": [[bucket(each.slice_mean_us), each.slice_count]],
                    },
                    "wakeups": round(each.wakeups_per_s * span),
                    "involuntary": round(each.involuntary_per_s * span),
                    "migrations": round(each.migrations_per_s * span),
                    "run_us": each.run_share * 1e6 * span,
                    "response_us": {
                        "count": each.response_count,
                        "sum": each.response_mean_us * each.response_count,
                        "p50": each.response_p50_us,
                        "p90": each.response_p50_us,
                        "p99": each.response_p99_us,
                        "max": each.response_max_us,
                        "hist": each.response_hist,
                    },
                    "burst_us": {
                        "count": each.burst_count,
                        "sum": each.burst_mean_us * each.burst_count,
                        "p50": each.burst_mean_us,
                        "p90": each.burst_mean_us,
                        "p99": each.burst_mean_us,
                        "max": each.burst_mean_us,
                        "hist": [[bucket(each.burst_mean_us), each.burst_count]]
                        if each.burst_count
                        else [],
                    },
                    "waited_us": each.waited_us,
                    "preempted_us": each.preempted_us,
                }
                for each in observation.workloads.values()
            ],
            "left_out": 0,
            "per_octave": 16,
            "lost": observation.lost,
        }
    )
