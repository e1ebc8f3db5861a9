# SPDX-License-Identifier: GPL-2.0-only
"""From the last minutes of a workload, and what is known of it besides, to its profile. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from daemon.api.models import ProfileView, PurposeView, SignalPoint
from daemon.decide.jobs import NONE_FINISHED, Finished
from daemon.decide.observation import Observation
from scheduler_library.profile import (
    INVOLUNTARY_RATIO,
    MEANING,
    Figures,
    Tag,
    Understood,
    is_starved,
    understood,
)
from scheduler_library.purpose import By, Purpose, Said, purpose_of

# Points at which a workload got the CPU time that it wanted, to know it by them.
LEAST_CALM_POINTS = 5
# Part of the switches away from it that it did not ask for, below which it got that.
CALM_RATIO = INVOLUNTARY_RATIO / 2
# Declared objectives that are told of one workload.
MOST_OBJECTIVES = 4


@dataclass(frozen=True)
class Besides:
    """What is known of a workload beside its signals.

    Attributes:
        objectives: the text of those that the operator declared for it, broken ones first.
        program: what its program says of what counts for it.
        of_the_kernel: it is a thread of the kernel.
        before: its points from earlier, oldest first.
    """

    objectives: Sequence[str] = ()
    program: Said | None = None
    of_the_kernel: bool = False
    before: Sequence[SignalPoint] = ()


NOTHING = Besides()


def profile_of(
    workload: str,
    points: Sequence[SignalPoint],
    observation: Observation | None,
    *,
    machine_cpus: int,
    machine_utilisation: float,
    machine_caches: int = 0,
    finished: Finished = NONE_FINISHED,
    besides: Besides = NOTHING,
) -> ProfileView:
    """What a workload is like, from its points (oldest first), the newest observation, its
    processes that ended lately, and what is known of it besides."""
    said = _declared(besides.objectives)
    if besides.program is not None:
        said.append(besides.program)
    if not points:
        found = understood(Figures(), said, of_the_kernel=besides.of_the_kernel)
        tags = [tag.value for tag in found.tags if tag is not Tag.IDLE]
        why = [each.why for each in found.said]
        return ProfileView(
            workload=workload,
            tags=tags,
            purposes=_purposes(found, calm=False),
            sure_of=[*why, "nothing was measured of it yet"],
        )
    each = observation.workloads.get(workload) if observation else None
    figures = _figures(points).model_copy(
        update={
            "machine_cpus": machine_cpus,
            "machine_utilisation": min(1.0, max(0.0, machine_utilisation)),
            "machine_caches": machine_caches,
            "threads": each.threads if each else 0,
            # As many begin as end, in the long run.
            "forks_per_s": each.exits_per_s if each else 0.0,
            "jobs_finished": finished.count,
            "job_longest_ratio": finished.longest_ratio,
        }
    )
    calm = _calm([*besides.before, *points]) if is_starved(figures) else None
    if calm is not None:
        calm = calm.model_copy(update={"threads": figures.threads, "machine_cpus": machine_cpus})
    found = understood(figures, said, calm=calm, of_the_kernel=besides.of_the_kernel)
    return ProfileView(
        workload=workload,
        tags=[tag.value for tag in found.tags],
        doubtful=[tag.value for tag in found.doubtful],
        purposes=_purposes(found, calm=calm is not None or not is_starved(figures)),
        figures={
            name: float(value) for name, value in figures.model_dump().items() if value is not None
        },
        sure_of=_said(found, figures, calm),
    )


def _figures(points: Sequence[SignalPoint]) -> Figures:
    switches = fmean(point.wakeups_per_s + point.involuntary_per_s for point in points)
    involuntary = fmean(point.involuntary_per_s for point in points)
    running = [point.slice_mean_us for point in points if point.slice_mean_us > 0]
    return Figures(
        seconds=max(0.0, points[-1].at - points[0].at),
        mean_burst_us=fmean(running) if running else 0.0,
        wakeups_per_s=fmean(point.wakeups_per_s for point in points),
        cpus_used=fmean(point.run_share for point in points),
        migrations_per_s=fmean(point.migrations_per_s for point in points),
        involuntary_ratio=min(1.0, involuntary / switches) if switches > 0 else 0.0,
        delay_p50_us=fmean(point.delay_p50_us for point in points),
        delay_p99_us=max(point.delay_p99_us for point in points),
    )


def _calm(points: Sequence[SignalPoint]) -> Figures | None:
    """What it was like at those points where it got the CPU time that it wanted."""
    calm = [
        each
        for each in points
        if each.slice_mean_us > 0
        and each.delay_p50_us <= each.slice_mean_us
        and each.involuntary_per_s <= CALM_RATIO * (each.wakeups_per_s + each.involuntary_per_s)
    ]
    return _figures(calm) if len(calm) >= LEAST_CALM_POINTS else None


def _declared(objectives: Sequence[str]) -> list[Said]:
    found = []
    for text in objectives[:MOST_OBJECTIVES]:
        purpose = purpose_of(text)
        if purpose is not None:
            found.append(Said(purpose, By.DECLARED, f"the operator declared `{text}`"))
    return found


def _purposes(found: Understood, *, calm: bool) -> list[PurposeView]:
    said = list(found.said)
    by_behaviour = None
    if {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE} & set(found.tags):
        by_behaviour = Purpose.LATENCY
    elif Tag.BATCH in found.tags:
        by_behaviour = Purpose.THROUGHPUT
    if not said and by_behaviour is not None:
        by = By.CALM if calm else By.NOW
        why = "it behaves so" if calm else "it behaves so now, while it is starved"
        said.append(Said(by_behaviour, by, why, "likely" if calm else "guess"))
    return [
        PurposeView.model_validate(
            {
                "purpose": each.purpose.value,
                "by": each.by.value,
                "certainty": each.certainty,
                "why": each.why,
            }
        )
        for each in said
    ]


def _said(found: Understood, figures: Figures, calm: Figures | None) -> list[str]:
    """The profile in sentences, what was declared first."""
    said = [f"{each.why}: {_COUNTS[each.purpose]}" for each in found.said]
    said += [
        f"{tag.value}: {MEANING[tag]}"
        + (" (in doubt: it is starved, or other evidence is stronger)" * (tag in found.doubtful))
        for tag in found.tags
    ]
    said.append(
        f"runs {figures.mean_burst_us:.0f} us at a time, wakes {figures.wakeups_per_s:.0f} times a "
        f"second, uses {figures.cpus_used:.2f} CPUs of {figures.machine_cpus}"
    )
    if calm is not None:
        said.append(
            f"while it got its CPU time it ran {calm.mean_burst_us:.0f} us at a time and woke "
            f"{calm.wakeups_per_s:.0f} times a second"
        )
    if figures.jobs_finished:
        said.append(
            f"{figures.jobs_finished} of its processes ended lately; the longest took "
            f"{figures.job_longest_ratio:.1f} times the CPU time of the median"
        )
    return said


_COUNTS = {
    Purpose.LATENCY: "its delays count",
    Purpose.THROUGHPUT: "how much it gets done counts",
    Purpose.MAKESPAN: "when all of it is done counts",
}
