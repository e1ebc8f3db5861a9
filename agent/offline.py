# SPDX-License-Identifier: GPL-2.0-only
"""The advisor that needs no model and no network: manifests first, then what history says.

Each scheduler's gain on a workload like this one is a normal distribution. Its prior comes
from how the manifest's `good_for`, `bad_for` and `tags` meet the profile's tags; every
recorded outcome on a similar workload is one noisy observation of it (conjugate normal
update, each observation weighted by similarity and age). The order of proposals is one
Thompson sample from the posteriors: mostly the best known first, now and then one that is
not yet known to be worse. (Thompson 1933; Russo et al., "A Tutorial on Thompson Sampling",
2018, section 4.)

Pure: the same situation gives the same advice. The sample is seeded by the episode's id.
"""

import hashlib
import math
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from daemon.api.models import (
    Decision,
    OutcomeView,
    ParameterValue,
    ParameterView,
    SchedulerDetail,
    TrialState,
    TrialView,
)

NAME = "offline"
# At most this many proposals for one question.
MOST_PROPOSALS = 3
# What a word of the profile is worth where a manifest's `good_for` has it: the gain expected
# before anything was measured. Words that say what counts for a workload (its delays, the
# order of its jobs) weigh more than words that say how it happens to be.
WORTH = {
    "uneven-jobs": 0.30,
    "latency-sensitive": 0.15,
    "migration-heavy": 0.12,
    "interactive": 0.10,
    "batch": 0.10,
    "fork-heavy": 0.08,
    "overcommitted": 0.03,
    "contended": 0.03,
    "idle": 0.0,
}
USUAL_WORTH = 0.05
# `bad_for` weighs more than `good_for`: a warning in a manifest was usually paid for.
BAD_FACTOR = -1.5
# A scheduler's own `tags` say what it is, which only hints at what it is good for.
TAG_FACTOR = 0.2
# Standard deviation of a scheduler's true gain around its prior: narrow enough that a word
# in a manifest decides until there are measurements.
PRIOR_DEVIATION = 0.03
# Standard deviation of one trial's measured gain around the true one. With it, two bad
# trials outweigh the best manifest.
NOISE_DEVIATION = 0.04
# One measured gain counts at most this much: a ratio of two small numbers can be anything.
LARGEST_GAIN = 0.5
# What a trial that ended in a rollback cost everybody on the machine, as gain.
ROLLBACK_COST = 0.02
# An observation made with other parameters tells less about these.
OTHER_PARAMETERS_WEIGHT = 0.6
# Kernels, services and neighbours change: an outcome loses half its weight in this time.
HALF_LIFE_S = 30 * 24 * 3600.0
# What failed on such a workload within this time is not tried again.
RECENT_S = 3600.0
# Two workloads are "such" ones from this similarity (Jaccard index of their tags) on.
SIMILAR = 0.6
# Slices: a workload with shorter runs than this is brief, with longer ones than that, long.
BRIEF_US = 2_000.0
LONG_US = 5_000.0
# A slice is a multiple of the mean run, so that most runs end by themselves, and stays within
# these factors of the default: a mean is not a distribution.
RUNS_A_SLICE = 4.0
SHORTEST_FACTOR, LONGEST_FACTOR = 0.25, 2.5
# A limit below which a run counts as brief lies this far above the mean run.
RUNS_A_LIMIT = 3.0
# Smaller changes than this part are not worth a parameter.
LEAST_CHANGE = 0.25

_IN_US = {"ns": 0.001, "us": 1.0, "ms": 1_000.0, "s": 1_000_000.0}


@dataclass(frozen=True)
class Belief:
    """The posterior of one scheduler's gain: normal with this mean and deviation."""

    mean: float
    deviation: float
    observations: int
    words: tuple[str, ...]
    against: tuple[str, ...]


def similarity(one: Iterable[str], other: Iterable[str]) -> float:
    """Jaccard index of two sets of tags, 0 to 1; two empty sets are alike."""
    left, right = set(one), set(other)
    if not left and not right:
        return 1.0
    return len(left & right) / len(left | right)


def _matches(tags: Iterable[str], phrases: Iterable[str]) -> tuple[str, ...]:
    """The tags that a phrase is, or of which it has every word, in the order of `tags`."""
    exact = set(phrases)
    words = [set(re.findall(r"[a-z0-9]+", phrase.lower())) for phrase in exact]

    def met(tag: str) -> bool:
        parts = set(re.findall(r"[a-z0-9]+", tag.lower()))
        return tag in exact or any(parts and parts <= phrase for phrase in words)

    return tuple(tag for tag in tags if met(tag))


def _worth(tags: Iterable[str]) -> float:
    return sum(WORTH.get(tag, USUAL_WORTH) for tag in tags)


def _effective_gain(outcome: OutcomeView) -> float:
    """What the outcome says about the gain of trying, bounded."""
    gain = max(-LARGEST_GAIN, min(LARGEST_GAIN, outcome.gain))
    return gain if outcome.decision is Decision.KEEP else min(gain, 0.0) - ROLLBACK_COST


def belief(
    scheduler: SchedulerDetail,
    parameters: Mapping[str, ParameterValue],
    tags: tuple[str, ...],
    outcomes: Iterable[OutcomeView],
    at: float,
    measured: tuple[str, ...] | None = None,
) -> Belief:
    """The posterior of `scheduler` with `parameters` on a workload with `tags`.

    `measured` are those of the tags that outcomes are recorded with; without it, all.
    """
    measured = tags if measured is None else measured
    good = _matches(tags, scheduler.good_for)
    bad = _matches(tags, scheduler.bad_for)
    plain = tuple(tag for tag in _matches(tags, scheduler.tags) if tag not in good)
    prior = _worth(good) + BAD_FACTOR * _worth(bad) + TAG_FACTOR * _worth(plain)
    precision = PRIOR_DEVIATION**-2
    weighted = prior * precision
    seen = 0
    for outcome in outcomes:
        if outcome.scheduler != scheduler.name:
            continue
        # What is only inferred of this workload may be missing in what was recorded then.
        weight = max(similarity(tags, outcome.tags), similarity(measured, outcome.tags))
        if outcome.parameters != dict(parameters):
            weight *= OTHER_PARAMETERS_WEIGHT
        weight *= 0.5 ** (max(0.0, at - outcome.at) / HALF_LIFE_S)
        if weight < 0.01:
            continue
        seen += 1
        precision += weight * NOISE_DEVIATION**-2
        weighted += weight * NOISE_DEVIATION**-2 * _effective_gain(outcome)
    return Belief(weighted / precision, precision**-0.5, seen, good + plain, bad)


def _rounded(value: float) -> float:
    """To two significant digits: nobody believes in a slice of 317.4 us."""
    if value <= 0:
        return 0.0
    digits = 1 - math.floor(math.log10(value))
    return round(value, digits)


def _wanted_us(name: str, default_us: float, run_us: float) -> float:
    """What a parameter should be for runs of `run_us`, microseconds; the default where it
    fits, or where the parameter has nothing to do with runs.

    Brief workloads only ever get a shorter slice than the default (their neighbours give
    way sooner, and they still finish a run in one), long ones only ever a longer one.
    """
    if re.fullmatch(r"slice(_(ns|us|ms|s))?", name):
        wanted_us = RUNS_A_SLICE * run_us
        if run_us < BRIEF_US:
            return min(default_us, max(wanted_us, SHORTEST_FACTOR * default_us))
        if run_us > LONG_US:
            return max(default_us, min(wanted_us, LONGEST_FACTOR * default_us))
    if re.fullmatch(r"burst_limit(_(ns|us|ms|s))?", name) and run_us < BRIEF_US:
        return max(default_us, RUNS_A_LIMIT * run_us)
    return default_us


def _adapted(parameter: ParameterView, run_us: float) -> ParameterValue | None:
    """A value that fits runs of `run_us`, or None where the default fits as well."""
    scale = _IN_US.get(parameter.unit)
    default = parameter.default
    if scale is None or isinstance(default, bool | str) or default <= 0:
        return None
    value = _rounded(_wanted_us(parameter.name, default * scale, run_us)) / scale
    if parameter.min is not None:
        value = max(parameter.min, value)
    if parameter.max is not None:
        value = min(parameter.max, value)
    if abs(value / default - 1) < LEAST_CHANGE:
        return None
    return round(value) if parameter.type == "int" else value


def adapted_parameters(scheduler: SchedulerDetail, run_us: float) -> dict[str, ParameterValue]:
    """Small adaptations of a scheduler's parameters to a workload's measured run length.

    Args:
        run_us: the workload's mean uninterrupted run, microseconds; 0 when unknown.
    """
    if run_us <= 0 or scheduler.kind == "external":
        return {}
    found = {each.name: _adapted(each, run_us) for each in scheduler.parameters}
    return {name: value for name, value in found.items() if value is not None}


def wanted_tags(situation: Situation) -> tuple[str, ...]:
    """The profile's words, and `latency-sensitive` where delays are what was complained about.

    Measured words are about how a workload runs, and on a slow or crowded machine a service
    may not look like one. What is declared, or was found degraded, says what it is for. A
    workload that is batch by its figures stays that.
    """
    tags = tuple(situation.profile.tags)
    trigger = situation.episode.trigger
    if trigger is None or {"latency-sensitive", "batch", "cpu-bound"} & set(tags):
        return tags
    complaint = f"{trigger.signal} {trigger.objective}"
    if re.search(r"delay|latency|p9\d", complaint):
        return (*tags, "latency-sensitive")
    return tags


def _run_us(situation: Situation) -> float:
    """The workload's mean uninterrupted run, microseconds; 0 when nothing measured it."""
    figure = situation.profile.figures.get("mean_burst_us", 0.0)
    if figure > 0:
        return figure
    workload = situation.workload
    return workload.last.slice_mean_us if workload and workload.last else 0.0


def _parameters(scheduler: SchedulerDetail, situation: Situation) -> dict[str, ParameterValue]:
    """Those of the best kept outcome on such a workload, else adapted to the figures."""
    kept = [
        outcome
        for outcome in situation.outcomes
        if outcome.scheduler == scheduler.name
        and outcome.decision is Decision.KEEP
        and similarity(outcome.tags, situation.profile.tags) >= SIMILAR
    ]
    known = {parameter.name for parameter in scheduler.parameters}
    for outcome in sorted(kept, key=lambda each: (-each.gain, -each.at)):
        if set(outcome.parameters) <= known:
            return dict(outcome.parameters)
    return adapted_parameters(scheduler, _run_us(situation))


def _refusal(
    scheduler: SchedulerDetail, parameters: Mapping[str, ParameterValue], situation: Situation
) -> str:
    """Why this is not to be tried now, or nothing."""
    at = situation.at
    if not scheduler.installed:
        return "not installed"
    for entry in situation.status.quarantine:
        if entry.scheduler == scheduler.name and (entry.until == 0 or entry.until > at):
            return "quarantined"
    if any(trial.scheduler == scheduler.name for trial in situation.tried):
        return "tried in this episode"
    if any(each.proposal.scheduler == scheduler.name for each in situation.refused):
        return "refused in this episode"
    loaded = situation.status.loaded
    if loaded and loaded.name == scheduler.name and loaded.parameters == dict(parameters):
        return "running already"
    for outcome in situation.outcomes:
        if (
            outcome.scheduler == scheduler.name
            and outcome.decision is Decision.ROLLBACK
            and at - outcome.at < RECENT_S
            and similarity(outcome.tags, situation.profile.tags) >= SIMILAR
        ):
            return "failed on such a workload within the hour"
    return ""


def _sample(seed: str, name: str, held: Belief) -> float:
    """One draw from the posterior, the same for the same episode and scheduler."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    # Reproducibility is what is wanted here, not secrecy.
    return random.Random(digest).gauss(held.mean, held.deviation)  # noqa: S311


def _reason(held: Belief) -> str:
    parts = []
    if held.words:
        parts.append(f"its page says it is good for {', '.join(held.words)}")
    if held.against:
        parts.append(f"though bad for {', '.join(held.against)}")
    if held.observations:
        noun = "outcome" if held.observations == 1 else "outcomes"
        parts.append(f"{held.observations} recorded {noun} on workloads like this")
    return "; ".join(parts) or "nothing is known against it"


def _expectation(held: Belief) -> str:
    low, high = held.mean - 2 * held.deviation, held.mean + 2 * held.deviation
    return f"about {held.mean:+.0%} on the objective (between {low:+.0%} and {high:+.0%})"


def advise(situation: Situation, most: int = MOST_PROPOSALS) -> Advice:
    """The offline advice for a situation: at most `most` proposals, best first."""
    status = situation.status
    if not status.kernel.supported:
        return Advice((), "this kernel has no sched_ext")
    if status.foreign:
        return Advice((), "a scheduler that is not ours is loaded; it is left alone")
    tags = wanted_tags(situation)
    ranked: list[tuple[float, Proposal]] = []
    skipped: list[str] = []
    for scheduler in situation.library:
        parameters = _parameters(scheduler, situation)
        refusal = _refusal(scheduler, parameters, situation)
        if refusal:
            skipped.append(f"{scheduler.name}: {refusal}")
            continue
        measured = tuple(situation.profile.tags)
        held = belief(scheduler, parameters, tags, situation.outcomes, situation.at, measured)
        sample = _sample(situation.episode.id, scheduler.name, held)
        if sample <= 0 or held.mean <= 0:
            skipped.append(f"{scheduler.name}: no gain expected")
            continue
        proposal = Proposal(
            scheduler.name, parameters, _reason(held), _expectation(held), held.mean
        )
        ranked.append((sample, proposal))
    # The name breaks ties, so that the order never depends on the library's.
    ranked.sort(key=lambda pair: (-pair[0], pair[1].scheduler))
    chosen = tuple(proposal for _, proposal in ranked[:most])
    if chosen:
        return Advice(chosen, f"the workload is: {', '.join(tags) or 'nothing in particular'}")
    # What is not installed is no news, and there is much of it.
    said = [each for each in skipped if not each.endswith(": not installed")]
    return Advice((), "nothing in the library promises a gain (" + "; ".join(said) + ")")


def lesson(result: EpisodeResult) -> str:
    """One line from one verdict, without any name that came from the system."""
    trial: TrialView = result.trial
    tags = ", ".join(result.situation.profile.tags) or "no particular tag"
    title = result.proposal.title
    if trial.verdict is None:
        if trial.state is TrialState.FAILED:
            return f"{title} on workloads that are {tags}: the trial failed"
        return ""
    verdict = trial.verdict
    word = "kept" if verdict.decision is Decision.KEEP else "rolled back"
    return (
        f"{title} on workloads that are {tags}: {word}, {trial.objective} x{verdict.ratio:.2f} "
        f"({verdict.low:.2f} to {verdict.high:.2f} at {verdict.confidence:.0%})"
    )[:500]


class OfflineAdvisor:
    """`advise` and `lesson` behind the interface of all advisors.

    It remembers nothing itself: the daemon records every outcome, and the next situation
    brings them back.
    """

    name = NAME

    async def propose(self, situation: Situation) -> Advice:
        return advise(situation)

    async def learn(self, result: EpisodeResult) -> str:
        return lesson(result)
