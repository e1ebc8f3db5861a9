# SPDX-License-Identifier: GPL-2.0-or-later
"""From the last minutes of a workload, and other knowledge about it, to its profile. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from daemon.api.models import ProfileView, PurposeView, SignalPoint, SplitView
from daemon.decide.jobs import NONE_FINISHED, Finished
from daemon.decide.observation import Observation
from scheduler_library.profile import (
    INVOLUNTARY_RATIO,
    MAINLY_UNENDED,
    MEANING,
    Tag,
    UnderstoodWorkload,
    WorkloadFigures,
    is_starved,
    runs_to_completion,
    understood,
)
from scheduler_library.purpose import Purpose, PurposeEvidence, PurposeSource, purpose_of

# How many points at which a workload got the CPU time that it wanted are needed to judge by them.
LEAST_CALM_POINTS = 5
# Fraction of involuntary switches, below which it got what it wanted.
CALM_RATIO = INVOLUNTARY_RATIO / 2
# Minimum CPU time as a fraction of response time, because its precision is low.
_LEAST_RUNNING = 0.001
# A fraction of response time that is worth a sentence.
_NOTABLE_SHARE = 0.05
# How many declared objectives are listed for one workload.
MOST_OBJECTIVES = 4


@dataclass(frozen=True)
class Besides:
    """The knowledge about a workload beside its signals.

    Attributes:
        objectives: the text of those that the operator declared for it, broken ones first.
        program: the figure that counts for its program.
        of_the_kernel: it is a kernel thread.
        before: its earlier points, oldest first.
    """

    objectives: Sequence[str] = ()
    program: PurposeEvidence | None = None
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
    """A workload's tags, from its points (oldest first), the newest observation, its processes that
    ended lately, and other knowledge.
    """
    said = _declared(besides.objectives)
    if besides.program is not None:
        said.append(besides.program)
    if not points:
        found = understood(WorkloadFigures(), said, of_the_kernel=besides.of_the_kernel)
        tags = [tag.value for tag in found.tags if tag is not Tag.IDLE]
        why = [each.why for each in found.said]
        return ProfileView(
            workload=workload,
            tags=tags,
            purposes=_purposes(found, calm=False),
            sure_of=[*why, "nothing has been measured of it yet"],
        )
    each = observation.workloads.get(workload) if observation else None
    # Somebody always sleeps: if no activation of any workload ended, the program does not report
    # them.
    tells = observation is not None and any(
        other.response_count for other in observation.workloads.values()
    )
    interval_s = observation.interval_s if observation else 0.0
    figures = _figures(points, interval_s, tells=tells).model_copy(
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
        **_responses(figures),
    )


def _responses(figures: WorkloadFigures) -> dict[str, Any]:
    if not figures.completions_per_s:
        return {}
    found: dict[str, Any] = {
        "response_p50_us": round(figures.response_p50_us, 1),
        "response_p99_us": round(figures.response_p99_us, 1),
        "completions_per_s": round(figures.completions_per_s, 2),
    }
    if _never_sleeps(figures):
        return found
    running = figures.running_share
    return found | {
        "split": SplitView(
            running=round(running, 3),
            waiting=round(figures.waiting_share, 3),
            preempted=round(figures.preempted_share, 3),
        ),
        "bound": round(running, 3),
        "runs_to_completion": runs_to_completion(figures),
        "burst_p50_us": round(figures.burst_p50_us, 1),
    }


def _never_sleeps(figures: WorkloadFigures) -> bool:
    """Whether no activation ended. A busy event loop has completions without that, but the fraction
    of waiting in them is unknown."""
    return figures.unended_share >= 1.0


def _figures(points: Sequence[SignalPoint], interval_s: float, *, tells: bool) -> WorkloadFigures:
    """Figures over these points. `tells`: the signals have activations, ended or not."""
    switches = fmean(point.wakeups_per_s + point.involuntary_per_s for point in points)
    involuntary = fmean(point.involuntary_per_s for point in points)
    running = [point.slice_mean_us for point in points if point.slice_mean_us > 0]
    slice_us = fmean(running) if running else 0.0
    seconds = max(0.0, points[-1].at - points[0].at)
    figures = WorkloadFigures(
        seconds=seconds,
        mean_burst_us=slice_us,
        slice_us=slice_us,
        wakeups_per_s=fmean(point.wakeups_per_s for point in points),
        cpus_used=fmean(point.run_share for point in points),
        migrations_per_s=fmean(point.migrations_per_s for point in points),
        involuntary_ratio=min(1.0, involuntary / switches) if switches > 0 else 0.0,
        delay_p50_us=fmean(point.delay_p50_us for point in points),
        delay_p99_us=max(point.delay_p99_us for point in points),
    )
    if tells or any(point.completions_per_s > 0 for point in points):
        figures = figures.model_copy(update=_activations(points, seconds + interval_s))
    return figures


def _activations(points: Sequence[SignalPoint], seconds: float) -> dict[str, float]:
    """The figures of activations. `seconds` is the minimum duration of the observation."""
    ended = [point for point in points if point.activations_per_s > 0]
    activations = [point.activations_per_s for point in ended]
    # A busy event loop handles events without sleeping.
    served = [point for point in points if point.completions_per_s > 0]
    completions = [point.completions_per_s for point in served]

    def mean(values: Iterable[float], weights: Sequence[float]) -> float:
        whole = sum(weights)
        pairs = zip(values, weights, strict=True)
        return sum(value * weight for value, weight in pairs) / whole if whole else 0.0

    burst_us = mean((point.burst_mean_us for point in ended), activations)
    # The duration of all activations in each point: the part that is not waiting is CPU time.
    length = [
        point.activations_per_s
        * point.burst_mean_us
        / max(_LEAST_RUNNING, 1 - point.waiting_share - point.preempted_share)
        for point in ended
    ]
    half_us = mean(
        (point.burst_half_us for point in ended),
        [point.activations_per_s * point.burst_mean_us for point in ended],
    )
    used_us = 1e6 * fmean(point.run_share for point in points)
    per_s = sum(activations) / len(points)
    unended = max(0.0, 1 - per_s * burst_us / used_us) if used_us > 0 else 0.0
    if unended >= MAINLY_UNENDED:
        # The ended ones are the shorter ones: take all CPU time, per ended activation, or per CPU
        # that was kept busy all the time.
        burst_us = used_us / max(per_s, max(1.0, used_us / 1e6) / max(seconds, 1.0))
        half_us = burst_us
    return {
        "mean_burst_us": burst_us,
        "burst_half_us": half_us,
        "burst_p50_us": mean((point.burst_p50_us for point in ended), activations),
        "response_p50_us": mean((point.response_p50_us for point in served), completions),
        "response_p99_us": mean((point.response_p99_us for point in served), completions),
        "completions_per_s": sum(completions) / len(points),
        "waiting_share": mean((point.waiting_share for point in ended), length),
        "preempted_share": mean((point.preempted_share for point in ended), length),
        "unended_share": unended,
    }


def _calm(points: Sequence[SignalPoint]) -> WorkloadFigures | None:
    """Its tags at those points where it got the CPU time that it wanted."""
    calm = [
        each
        for each in points
        if each.slice_mean_us > 0
        and each.delay_p50_us <= each.slice_mean_us
        and each.involuntary_per_s <= CALM_RATIO * (each.wakeups_per_s + each.involuntary_per_s)
    ]
    return _figures(calm, 0.0, tells=False) if len(calm) >= LEAST_CALM_POINTS else None


def _declared(objectives: Sequence[str]) -> list[PurposeEvidence]:
    found = []
    for text in objectives[:MOST_OBJECTIVES]:
        purpose = purpose_of(text)
        if purpose is not None:
            found.append(
                PurposeEvidence(purpose, PurposeSource.DECLARED, f"the operator declared `{text}`")
            )
    return found


def _purposes(found: UnderstoodWorkload, *, calm: bool) -> list[PurposeView]:
    said = list(found.said)
    by_behaviour = None
    if {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE} & set(found.tags):
        by_behaviour = Purpose.LATENCY
    elif Tag.BATCH in found.tags:
        by_behaviour = Purpose.THROUGHPUT
    if not said and by_behaviour is not None:
        by = PurposeSource.CALM if calm else PurposeSource.NOW
        why = "it behaves so" if calm else "it behaves so now, while it is starved"
        said.append(PurposeEvidence(by_behaviour, by, why, "likely" if calm else "guess"))
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


def _said(
    found: UnderstoodWorkload, figures: WorkloadFigures, calm: WorkloadFigures | None
) -> list[str]:
    """The profile in sentences: declarations first, then how it runs, then its tags."""
    said = [f"{each.why}: {_COUNTS[each.purpose]}" for each in found.said]
    said += _of_activations(figures)
    said += [
        f"{tag.value}: {MEANING[tag]}"
        + (" (in doubt: it is starved, or other evidence is stronger)" * (tag in found.doubtful))
        for tag in found.tags
    ]
    if calm is not None:
        said.append(
            f"while it got its CPU time its bursts were {duration(calm.mean_burst_us)} and it woke "
            f"{calm.wakeups_per_s:.0f} times a second"
        )
    if figures.jobs_finished:
        said.append(
            f"{figures.jobs_finished} of its processes ended lately; the longest took "
            f"{figures.job_longest_ratio:.1f} times the CPU time of the median"
        )
    return said


def _of_activations(figures: WorkloadFigures) -> list[str]:
    """How it runs and what its response time is made of."""
    used = f"uses {figures.cpus_used:.2f} CPUs of {figures.machine_cpus}"
    woken = f"wakes {figures.wakeups_per_s:.0f} times a second"
    if not figures.by_activation:
        old = figures.wakeups_per_s > 0
        return [
            f"runs {duration(figures.slice_us)} at a time, {woken}, {used}"
            + (
                "; from one switch to the next, which depends on the scheduler: the signals "
                "program is older than the daemon and reports no bursts"
            )
            * old
        ]
    said = []
    if figures.unended_share >= MAINLY_UNENDED:
        said.append(
            f"{figures.unended_share:.0%} of its CPU time is in threads that did not sleep in all "
            f"this time; {woken}, {used}"
        )
    else:
        said.append(
            f"needs {duration(figures.mean_burst_us)} of CPU time on average from a wakeup to the "
            f"next sleep, and half of it all is in bursts of {duration(figures.main_burst_us)} or "
            f"more; it gets {duration(figures.slice_us)} at a time, {woken}, {used}"
        )
    if not figures.completions_per_s:
        return said
    ends = "has handled an event" if _never_sleeps(figures) else "has done its work and sleeps"
    said.append(
        f"{figures.completions_per_s:.3g} times a second one of its threads {ends}: half of them "
        f"take less than {duration(figures.response_p50_us)}, one in a hundred more than "
        f"{duration(figures.response_p99_us)}"
    )
    if _never_sleeps(figures):
        return said
    waiting, preempted = figures.waiting_share, figures.preempted_share
    if waiting + preempted < _NOTABLE_SHARE:
        said.append(
            f"{figures.running_share:.0%} of that time it runs: a scheduler can shorten next to "
            "nothing of it"
        )
        return said
    said.append(
        f"waiting after the wakeup is {waiting:.0%} of that time and being preempted "
        f"{preempted:.0%}: no scheduler can reduce the mean below {figures.running_share:.2f} of "
        "its value, unless the CPU time itself becomes less (sleep is not included)"
    )
    if runs_to_completion(figures):
        said.append(
            "runs to completion if allowed: it sleeps only at the end of its bursts"
            + ", and the end of a slice takes the CPU from it" * (preempted > 0)
        )
    return said


def duration(us: float) -> str:
    """Microseconds for people."""
    if us < 1_000:
        return f"{us:.0f} us"
    return f"{us / 1e3:.3g} ms" if us < 1_000_000 else f"{us / 1e6:.3g} s"


_COUNTS = {
    Purpose.LATENCY: "its delays count",
    Purpose.THROUGHPUT: "how much it gets done counts",
    Purpose.MAKESPAN: "when all of it is done counts",
}
