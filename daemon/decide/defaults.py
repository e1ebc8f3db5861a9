# SPDX-License-Identifier: GPL-2.0-or-later
"""The default objective of a workload, by its kind."""

from collections.abc import Mapping, Sequence
from typing import Literal

from daemon.api.models import ProfileView
from daemon.decide.objective import Objective, parse_objective
from daemon.decide.words import figure
from scheduler_library.profile import Tag
from simulator.objective_text import Metric

# For a workload that answers requests: how long one takes, and not fewer of them.
REQUESTS = "response p99; completions not worse than 5%"
INTERACTIVE = "response p99"
# Jobs of very different length, all of which have to be done.
BATCH = "makespan"
# Jobs that end, one by one.
JOBS = "turnaround mean"
WORK = "completions"
# A workload that never sleeps completes nothing that the kernel sees.
COMPUTING = "cpu"
UNKNOWN = "response p95; completions"
# From this many activations per second on there is something to count in a window.
COUNTABLE_PER_S = 2.0
# From this many processes ending per second, or lately, on they count as the workload's jobs.
JOBS_PER_S = 0.5
JOBS_LATELY = 30
# Above this an activation takes more CPU time than a slice of the kernel's own scheduler.
SLICE_US = 3000.0


def default_objective(profile: ProfileView | None) -> Objective:
    """The objective for a workload, by its profile; for the whole machine there is none.

    Services: their response time, with completions guarded. Interactive programs: response time.
    Batch: the turnaround of its jobs, if processes end; else completions; CPU time, if it hardly
    sleeps. Anything else: response time, and completions. Run-queue delay is never among them.
    """
    return parse_objective(_text(profile))


def _text(profile: ProfileView | None) -> str:
    if profile is None:
        return UNKNOWN
    # A workload's behaviour while it is kept from the CPU does not show what it is.
    tags = set(profile.tags) - set(profile.doubtful)
    sure = [each for each in profile.purposes if each.by != "now" or each.certainty != "guess"]
    purpose = sure[0].purpose if sure else _by_tags(tags)
    if purpose == "latency":
        # If nothing indicates a service, it is an interactive program.
        alone = Tag.INTERACTIVE in tags and not {Tag.SERVICE, Tag.LATENCY_SENSITIVE} & tags
        return INTERACTIVE if alone else REQUESTS
    if purpose == "makespan" and Tag.UNEVEN_JOBS in tags:
        return BATCH
    if purpose:
        return _work(tags, profile.figures)
    if not profile.figures:
        return UNKNOWN
    return COMPUTING if _hardly_sleeps(tags, profile.figures) else UNKNOWN


def _by_tags(tags: set[str]) -> Literal["latency", "throughput", ""]:
    if {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE, Tag.SERVICE} & tags:
        return "latency"
    if {Tag.BATCH, Tag.THROUGHPUT, Tag.MAKESPAN, Tag.FORK_HEAVY, Tag.UNEVEN_JOBS} & tags:
        return "throughput"
    return ""


def _work(tags: set[str], figures: Mapping[str, float]) -> str:
    ended = figures.get("forks_per_s", 0.0) >= JOBS_PER_S
    if ended or figures.get("jobs_finished", 0.0) >= JOBS_LATELY or Tag.FORK_HEAVY in tags:
        return JOBS
    return COMPUTING if _hardly_sleeps(tags, figures) else WORK


def _hardly_sleeps(tags: set[str], figures: Mapping[str, float]) -> bool:
    return Tag.CPU_BOUND in tags or figures.get("wakeups_per_s", 0.0) < COUNTABLE_PER_S


def warnings_of(objective: Objective, figures: Mapping[str, float]) -> Sequence[str]:
    """What speaks against this objective for a workload with these figures of its profile."""
    burst_us = figures.get("mean_burst_us", 0.0)
    said = []
    for term in objective.targets:
        if term.metric is Metric.DELAY and burst_us > SLICE_US:
            said.append(
                f"`{term.title}` counts each turn that a task waits for, and this workload runs "
                f"{figure(burst_us, 'us')} at a time, longer than a slice: letting it finish "
                "lengthens the queue and shortens the response; `response "
                f"{term.title.removeprefix('delay ')}` is what its callers see"
            )
        elif term.metric is Metric.RESPONSE and not figures.get("wakeups_per_s", 1.0):
            said.append(f"`{term.title}`: it never sleeps, so it answers nothing")
    return said
