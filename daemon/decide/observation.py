# SPDX-License-Identifier: GPL-2.0-or-later
"""One interval of the machine, as the decisions see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bpf.kernel.controls import Quota
from bpf.signals.source import SignalsLine, WorkloadSignals
from daemon.api.models import SignalPoint
from daemon.decide.histogram import Histogram, half_of_the_sum, quantile

# From this many sleeps per involuntary switch on a workload still counts as a service.
PARTLY = 0.1


@dataclass(frozen=True, slots=True)
class WorkloadObservation:
    """One workload in one interval. Delays and slices in microseconds, rates per second.

    `wakeups_per_s` counts completed sleeps; `run_share` is CPU time as a share of one CPU,
    so 2.0 is two CPUs' worth; `exits_per_s` counts processes that ended.

    `response_…` and `burst_…` are for activations that ended in the interval, wakeup to sleep;
    `open_hist` has the time so far of unfinished ones. `waited_us` and `preempted_us` are sums over
    the ended ones. For an event loop `response_…` is per event, since it handles several events in
    one activation. `turnaround_…` is for processes that ended, fork to exit, and `open_jobs_hist`
    has the ages of processes with a runnable thread.
    """

    id: str
    threads: int = 0
    delay_count: int = 0
    delay_mean_us: float = 0.0
    delay_p50_us: float = 0.0
    delay_p99_us: float = 0.0
    delay_max_us: float = 0.0
    delay_hist: Histogram = ()
    slice_mean_us: float = 0.0
    slice_count: int = 0
    wakeups_per_s: float = 0.0
    involuntary_per_s: float = 0.0
    migrations_per_s: float = 0.0
    run_share: float = 0.0
    exits_per_s: float = 0.0
    response_count: int = 0
    response_mean_us: float = 0.0
    response_p50_us: float = 0.0
    response_p99_us: float = 0.0
    response_max_us: float = 0.0
    response_hist: Histogram = ()
    burst_count: int = 0
    burst_mean_us: float = 0.0
    burst_p50_us: float = 0.0
    # Half of the CPU time is in bursts of at least this length.
    burst_half_us: float = 0.0
    open_hist: Histogram = ()
    completions_per_s: float = 0.0
    activations_per_s: float = 0.0
    waited_us: float = 0.0
    preempted_us: float = 0.0
    turnaround_count: int = 0
    turnaround_mean_us: float = 0.0
    turnaround_hist: Histogram = ()
    open_jobs_hist: Histogram = ()
    # Hostile text: the thread with the longest wait for a CPU (`delay_max_us`), "" if unknown.
    longest_comm: str = ""
    longest_pid: int = 0

    @property
    def mostly_sleeps(self) -> bool:
        """Whether its tasks leave the CPU more often voluntarily than involuntarily.

        The run-queue delay of such a workload is how long it waits to be served. A workload that
        mostly leaves involuntarily waits for its next slice, as long as the others' slices are: its
        share of the CPU says how it fares, not that wait.
        """
        return self.wakeups_per_s >= self.involuntary_per_s

    @property
    def partly_sleeps(self) -> bool:
        """The same less strictly: a service that a neighbour keeps from the CPU leaves it more
        often involuntarily than it sleeps, and is a service nevertheless.
        """
        return self.wakeups_per_s >= PARTLY * self.involuntary_per_s

    def point(self, at: float, scheduler: str = "") -> SignalPoint:
        return SignalPoint(
            at=at,
            delay_p50_us=self.delay_p50_us,
            # A workload that only waits has no finished wait, and must not look well served.
            delay_p99_us=self.delay_p99_us if self.delay_count else self.delay_max_us,
            slice_mean_us=self.slice_mean_us,
            run_share=self.run_share,
            wakeups_per_s=self.wakeups_per_s,
            involuntary_per_s=self.involuntary_per_s,
            migrations_per_s=self.migrations_per_s,
            scheduler=scheduler,
            response_p50_us=self.response_p50_us,
            response_p99_us=self.response_p99_us,
            completions_per_s=self.completions_per_s,
            activations_per_s=self.activations_per_s,
            burst_mean_us=self.burst_mean_us,
            burst_p50_us=self.burst_p50_us,
            burst_half_us=self.burst_half_us,
            waiting_share=self.of_activations(self.waited_us),
            preempted_share=self.of_activations(self.preempted_us),
        )

    def of_activations(self, part_us: float) -> float:
        """The fraction of this time in the duration of the ended activations, at most 1."""
        whole_us = self.burst_mean_us * self.burst_count + self.waited_us + self.preempted_us
        return min(1.0, part_us / whole_us) if whole_us > 0 else 0.0


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """The CPU time that a cgroup with a quota used within `span_us`, microseconds. `group` is its
    path.
    """

    group: str
    used_us: float
    span_us: float
    quota: Quota

    def after(self, earlier: "QuotaUse") -> "QuotaUse":
        """This and an earlier one together."""
        return replace(
            self, used_us=self.used_us + earlier.used_us, span_us=self.span_us + earlier.span_us
        )


@dataclass(frozen=True, slots=True)
class Observation:
    """All workloads in the interval that ended `at` (Unix seconds) and lasted `interval_s`."""

    at: float
    interval_s: float
    workloads: Mapping[str, WorkloadObservation] = field(default_factory=dict)
    lost: int = 0
    # The host's part, as a share of all CPUs' time, beyond the usual.
    stolen: float = 0.0
    # How much longer than requested the interval lasted, seconds.
    late_s: float = 0.0
    # How long the machine was suspended in it, seconds; `interval_s` includes that.
    suspended_s: float = 0.0
    # Cgroups with a quota, if they were read: while a scheduler is tried or kept.
    quotas: tuple[QuotaUse, ...] = ()

    @property
    def began(self) -> float:
        return self.at - self.interval_s


def observation_of(
    line: SignalsLine,
    *,
    stolen: float = 0.0,
    asked_s: float = 0.0,
    suspended_s: float = 0.0,
    quotas: tuple[QuotaUse, ...] = (),
) -> Observation:
    """The output of `bpf.signals.source` as rates and figures. Totals become per-second values.

    `stolen`, `suspended_s` and `quotas` as in `Observation`; `asked_s` is the requested length of
    the interval, 0 if unknown.
    """
    span = line.interval_s if line.interval_s > 0 else 1.0
    return Observation(
        at=line.time,
        interval_s=line.interval_s,
        workloads={each.id: _workload(each, span) for each in line.workloads},
        lost=line.lost,
        stolen=stolen,
        late_s=max(0.0, line.interval_s - suspended_s - asked_s) if asked_s else 0.0,
        suspended_s=suspended_s,
        quotas=quotas,
    )


def _workload(each: WorkloadSignals, span: float) -> WorkloadObservation:
    delay, slices = each.delay_us, each.slice_us
    response, burst, jobs = each.response_us, each.burst_us, each.turnaround_us
    return WorkloadObservation(
        id=each.id,
        threads=each.threads,
        delay_count=delay.count,
        delay_mean_us=delay.mean,
        delay_p50_us=quantile(delay.hist, 0.5, delay.max),
        delay_p99_us=quantile(delay.hist, 0.99, delay.max),
        # A starving task is seen before its wait is over.
        delay_max_us=max(delay.max, each.longest.delay_us if each.longest else 0.0),
        delay_hist=delay.hist,
        slice_mean_us=slices.mean,
        slice_count=slices.count,
        wakeups_per_s=each.wakeups / span,
        involuntary_per_s=each.involuntary / span,
        migrations_per_s=each.migrations / span,
        run_share=each.run_us / 1e6 / span,
        exits_per_s=each.exits / span,
        response_count=response.count,
        response_mean_us=response.mean,
        response_p50_us=quantile(response.hist, 0.5, response.max),
        response_p99_us=quantile(response.hist, 0.99, response.max),
        response_max_us=response.max,
        response_hist=response.hist,
        burst_count=burst.count,
        burst_mean_us=burst.mean,
        burst_p50_us=quantile(burst.hist, 0.5, burst.max),
        burst_half_us=min(burst.max, half_of_the_sum(burst.hist)),
        open_hist=each.open_us.hist,
        completions_per_s=response.count / span,
        activations_per_s=burst.count / span,
        waited_us=each.waited_us,
        preempted_us=each.preempted_us,
        turnaround_count=jobs.count,
        turnaround_mean_us=jobs.mean,
        turnaround_hist=jobs.hist,
        open_jobs_hist=each.open_jobs_us.hist,
        longest_comm=each.longest.comm if each.longest else "",
        longest_pid=each.longest.pid if each.longest else 0,
    )
