# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's state in Prometheus' text format. Pure: the same views give the same text.

Base units, as Prometheus requires: seconds and ratios.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from daemon.api.display import displayable
from daemon.api.models import ObjectiveView, SignalPoint, StatusView, WorkloadView

if TYPE_CHECKING:
    from prometheus_client.core import Metric

# Each workload is a set of time series in a database, and anybody can start processes of any name:
# this many of the busiest are exported, the rest only counted.
WORKLOADS_SHOWN = 100
_LABEL_LIMIT = 200


def render(status: StatusView, workloads: Sequence[WorkloadView]) -> str:
    """One scrape."""
    # Imported with the first scrape: many daemons are never scraped.
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.registry import Collector

    class Views(Collector):
        def collect(self) -> Iterator["Metric"]:
            yield from _of_daemon(status)
            yield from _of_kernel(status)
            yield from _of_objectives(status.objectives)
            yield from _of_workloads(workloads)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Views())
    return generate_latest(registry).decode()


def _gauge(name: str, help: str, value: float) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"schedpilot_{name}", help, value=value)


def _of_daemon(status: StatusView) -> Iterator["Metric"]:
    from prometheus_client.core import InfoMetricFamily

    yield InfoMetricFamily(
        "schedpilot",
        "The daemon's version and what it may do by itself.",
        value={"version": status.version, "autonomy": status.autonomy.value},
    )
    yield _gauge("start_time_seconds", "When the daemon started, Unix seconds.", status.since)
    yield _gauge(
        "advice_only",
        "1 while the daemon changes nothing, whatever its configuration says.",
        status.advice_only is not None,
    )
    yield _gauge(
        "cooldown",
        "1 while no trial may start because one just ended.",
        status.cooldown is not None,
    )
    yield _gauge("trial_running", "1 while a trial runs.", bool(status.trial))
    yield _gauge("episode_open", "1 while an episode is open.", bool(status.episode))
    yield _gauge("quarantined_candidates", "Candidates in quarantine.", len(status.quarantine))
    yield _gauge(
        "degraded_workloads", "Workloads served worse than their baseline.", len(status.degraded)
    )
    held = _Labelled(
        "loaded", "1 for the scheduler that the daemon holds.", ("scheduler", "candidate", "why")
    )
    if status.loaded:
        held.add((status.loaded.name, status.loaded.candidate, status.loaded.why), 1)
    yield held.metric


def _of_kernel(status: StatusView) -> Iterator["Metric"]:
    from prometheus_client.core import CounterMetricFamily

    kernel = status.kernel
    yield _gauge("sched_ext_supported", "1 if the kernel has sched_ext.", kernel.supported)
    state = _Labelled("sched_ext_state", "The kernel's own name for its state.", ("state", "ops"))
    if kernel.state:
        state.add((kernel.state, kernel.ops), 1)
    yield state.metric
    yield _gauge(
        "foreign_scheduler", "1 while somebody else's scheduler runs.", bool(status.foreign)
    )
    yield CounterMetricFamily(
        "schedpilot_sched_ext_enables",
        "How often the kernel enabled a sched_ext scheduler since boot.",
        value=kernel.enable_seq,
    )
    yield CounterMetricFamily(
        "schedpilot_sched_ext_rejected_tasks",
        "How often the kernel refused to give a task to a scheduler since it was loaded.",
        value=kernel.nr_rejected,
    )


def _of_objectives(objectives: Sequence[ObjectiveView]) -> Iterator["Metric"]:
    labels = ("workload", "objective", "unit")
    value = _Labelled("objective_value", "The objective's metric, in its own unit.", labels)
    limit = _Labelled("objective_limit", "The declared limit.", labels)
    broken = _Labelled("objective_broken", "1 while the objective is broken.", labels)
    for each in objectives:
        where = (each.workload, each.text, each.unit)
        if each.value is not None:
            value.add(where, each.value)
        if each.limit is not None:
            limit.add(where, each.limit)
        broken.add(where, each.broken)
    for family in (value, limit, broken):
        yield family.metric


def _of_workloads(workloads: Sequence[WorkloadView]) -> Iterator["Metric"]:
    measured = [(each, each.last) for each in workloads if each.last is not None]

    def load(pair: tuple[WorkloadView, SignalPoint]) -> tuple[float, str]:
        return (-pair[1].run_share, pair[0].id)

    shown = sorted(measured, key=load)[:WORKLOADS_SHOWN]
    delay = _Labelled(
        "workload_run_queue_delay_seconds",
        "Run-queue delay in the newest interval.",
        ("workload", "quantile"),
    )
    response = _Labelled(
        "workload_response_seconds",
        "From a thread's wakeup to its next sleep, those that ended in the newest interval.",
        ("workload", "quantile"),
    )
    one = ("workload",)
    completions = _Labelled(
        "workload_completions_per_second", "How many times a thread went back to sleep.", one
    )
    bursts = _Labelled(
        "workload_burst_mean_seconds", "Mean CPU time from a wakeup to the next sleep.", one
    )
    slices = _Labelled("workload_slice_mean_seconds", "Mean used time slice.", one)
    share = _Labelled("workload_run_share_ratio", "CPU time used, in CPUs.", one)
    wakeups = _Labelled("workload_wakeups_per_second", "Wakeups.", one)
    involuntary = _Labelled("workload_involuntary_switches_per_second", "Preemptions.", one)
    migrations = _Labelled("workload_migrations_per_second", "Moves between CPUs.", one)
    degraded = _Labelled(
        "workload_degraded_ratio",
        "Current value relative to the baseline, for degraded workloads.",
        one,
    )
    for view, last in shown:
        where = (view.id,)
        delay.add((view.id, "0.5"), last.delay_p50_us / 1e6)
        delay.add((view.id, "0.99"), last.delay_p99_us / 1e6)
        response.add((view.id, "0.5"), last.response_p50_us / 1e6)
        response.add((view.id, "0.99"), last.response_p99_us / 1e6)
        completions.add(where, last.completions_per_s)
        bursts.add(where, last.burst_mean_us / 1e6)
        slices.add(where, last.slice_mean_us / 1e6)
        share.add(where, last.run_share)
        wakeups.add(where, last.wakeups_per_s)
        involuntary.add(where, last.involuntary_per_s)
        migrations.add(where, last.migrations_per_s)
        if view.degraded:
            degraded.add(where, view.degraded.ratio)
    yield _gauge("workloads", "Workloads known.", len(workloads))
    yield _gauge(
        "workloads_omitted",
        "Workloads that are not exported because there are too many.",
        len(measured) - len(shown),
    )
    for family in (
        delay,
        response,
        completions,
        bursts,
        slices,
        share,
        wakeups,
        involuntary,
        migrations,
        degraded,
    ):
        yield family.metric


class _Labelled:
    """A family of gauges. Two names that look alike after they are cut share one series."""

    def __init__(self, name: str, help: str, labels: Sequence[str]) -> None:
        from prometheus_client.core import GaugeMetricFamily

        self.metric = GaugeMetricFamily(f"schedpilot_{name}", help, labels=labels)
        self._seen: set[tuple[str, ...]] = set()

    def add(self, labels: Sequence[str], value: float) -> None:
        shown = tuple(displayable(each, _LABEL_LIMIT) for each in labels)
        if shown not in self._seen:
            self._seen.add(shown)
            self.metric.add_metric(shown, value)
