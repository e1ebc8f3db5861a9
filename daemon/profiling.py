# SPDX-License-Identifier: GPL-2.0-only
"""From the last minutes of a workload to its profile. Pure."""

from collections.abc import Sequence
from statistics import fmean

from daemon.api.models import ProfileView, SignalPoint
from daemon.decide.jobs import NONE_FINISHED, Finished
from daemon.decide.observation import Observation
from scheduler_library.profile import MEANING, Figures, Tag, tags_of


def profile_of(
    workload: str,
    points: Sequence[SignalPoint],
    observation: Observation | None,
    *,
    machine_cpus: int,
    machine_utilisation: float,
    finished: Finished = NONE_FINISHED,
) -> ProfileView:
    """What a workload is like, from its points (oldest first), the newest observation, and its
    processes that ended lately."""
    each = observation.workloads.get(workload) if observation else None
    if not points:
        return ProfileView(workload=workload, tags=[], sure_of=["nothing was measured of it yet"])
    switches = fmean(point.wakeups_per_s + point.involuntary_per_s for point in points)
    involuntary = fmean(point.involuntary_per_s for point in points)
    running = [point.slice_mean_us for point in points if point.slice_mean_us > 0]
    figures = Figures(
        seconds=max(0.0, points[-1].at - points[0].at),
        mean_burst_us=fmean(running) if running else 0.0,
        wakeups_per_s=fmean(point.wakeups_per_s for point in points),
        cpus_used=fmean(point.run_share for point in points),
        threads=each.threads if each else 0,
        # As many begin as end, in the long run.
        forks_per_s=each.exits_per_s if each else 0.0,
        migrations_per_s=fmean(point.migrations_per_s for point in points),
        involuntary_ratio=min(1.0, involuntary / switches) if switches > 0 else 0.0,
        delay_p50_us=fmean(point.delay_p50_us for point in points),
        delay_p99_us=max(point.delay_p99_us for point in points),
        jobs_finished=finished.count,
        job_longest_ratio=finished.longest_ratio,
        machine_cpus=machine_cpus,
        machine_utilisation=min(1.0, max(0.0, machine_utilisation)),
    )
    tags = tags_of(figures)
    return ProfileView(
        workload=workload,
        tags=[tag.value for tag in tags],
        figures={
            name: float(value) for name, value in figures.model_dump().items() if value is not None
        },
        sure_of=_said(tags, figures),
    )


def _said(tags: tuple[Tag, ...], figures: Figures) -> list[str]:
    """The profile in sentences, only what was measured."""
    said = [f"{tag.value}: {MEANING[tag]}" for tag in tags]
    said.append(
        f"runs {figures.mean_burst_us:.0f} us at a time, wakes {figures.wakeups_per_s:.0f} times a "
        f"second, uses {figures.cpus_used:.2f} CPUs of {figures.machine_cpus}"
    )
    if figures.jobs_finished:
        said.append(
            f"{figures.jobs_finished} of its processes ended lately; the longest took "
            f"{figures.job_longest_ratio:.1f} times the CPU time of the median"
        )
    return said
