# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that an advisor needs before it proposes anything, in sentences: how trials are judged,
what is guarded, what a scheduler can change at all, and which other workloads run. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from daemon.api.display import displayable
from daemon.api.models import EpisodeView, ProfileView, SignalPoint, StatusView, WorkloadView
from daemon.api.telling import Quote, between, figure

# How many intervals stand for "now".
LATELY = 20
# How many other workloads are named, by the CPU time they use; and below which use they are not.
MOST_OTHERS = 4
LEAST_CPUS = 0.02
MOST_GUARDS = 4
MOST_CPU_SETS = 12
# The figures of a point that correspond to an objective's terms, with their units.
_NOW: Mapping[str, tuple[str, str, float]] = {
    "response p50": ("response_p50_us", "us", 1.0),
    "response p99": ("response_p99_us", "us", 1.0),
    "completions": ("completions_per_s", "1/s", 1.0),
    "delay p50": ("delay_p50_us", "us", 1.0),
    "delay p99": ("delay_p99_us", "us", 1.0),
    "latency p50": ("delay_p50_us", "us", 1.0),
    "latency p99": ("delay_p99_us", "us", 1.0),
    "cpu": ("run_share", "%", 100.0),
}
# The figures of everybody that every trial guards, and the wording of their limits.
_LONGER = {
    "others_response_p99_us": "others' response p99",
    "others_delay_p99_us": "others' run-queue delay p99, where response is not known,",
}
_LESS = {
    "others_run_share": "others' CPU time",
    "machine_run_share": "the CPU time of all",
    "own_throughput": "its own completions",
}


@dataclass(frozen=True)
class Facts:
    """The collected data. `points` are the workload's, oldest first; `workloads` all of them."""

    episode: EpisodeView
    status: StatusView
    profile: ProfileView | None = None
    points: Sequence[SignalPoint] = ()
    workloads: Sequence[WorkloadView] = ()


def told(facts: Facts, quote: Quote = displayable) -> list[str]:
    """All facts, a sentence or two per line; unknown ones are left out."""
    lines = [
        _judged(facts, quote),
        _guarded(facts, quote),
        *(f"Mind: {quote(each, 240)}" for each in facts.episode.warnings[:2]),
        _split(facts.profile),
        _tick(facts.status.kernel.tick_us),
        _cpu_sets(facts.status),
        _others(facts, quote),
    ]
    return [line for line in lines if line]


def _cpu_sets(status: StatusView) -> str:
    """What a policy can say about this machine's CPUs; nothing where all are alike."""
    said = [f"`{name}` is {cpus}" for name, cpus in [*status.cpu_sets.items()][:MOST_CPU_SETS]]
    if len(status.cpu_sets) > MOST_CPU_SETS:
        said.append(f"{len(status.cpu_sets) - MOST_CPU_SETS} more")
    lines = [f"The CPUs of this machine differ; in a policy {', '.join(said)}."] if said else []
    if status.smt:
        lines.append("Its cores have SMT: `smt avoid` fills whole cores first.")
    return " ".join(lines)


# ---------------------------------------------------------------- the objective


def _judged(facts: Facts, quote: Quote) -> str:
    objective = facts.episode.objective
    if not objective and facts.episode.question:
        return (
            f"What the goal means here is not clear: {quote(facts.episode.question, 300)} Trials "
            "need an objective: give the one that is meant, or end with the question."
        )
    if not objective:
        return ""
    now = [said for term in objective.split(";") if (said := _now(term.strip(), facts, quote))]
    return f"Trials are judged by {quote(objective, 200)} of this workload." + (
        f" Now: {'; '.join(now)}." if now else ""
    )


def _now(term: str, facts: Facts, quote: Quote) -> str:
    """The current value of a term: the median of the last intervals, and the range of their middle
    half.
    """
    title = next((each for each in _NOW if f"{term} ".startswith(f"{each} ")), "")
    values: list[float] = []
    unit = ""
    if title:
        field, unit, factor = _NOW[title]
        values = [factor * float(getattr(each, field)) for each in _lately(facts.points)]
        values = [each for each in values if each > 0]
    if not values:
        return _declared(term, facts, quote)
    said = f"{title} {figure(median(values), unit)}"
    if len(values) < 4:
        return said
    first, _, third = quantiles(values, n=4)
    return f"{said} (half of the time {between(first, third, unit)})"


def _declared(term: str, facts: Facts, quote: Quote) -> str:
    """The same for any objective that the operator declared."""
    own = (each for each in facts.status.objectives if each.workload == facts.episode.workload)
    for each in own:
        if each.value is not None and each.metric and f"{term} ".startswith(f"{each.metric} "):
            return f"{quote(each.metric, 80)} {figure(each.value, each.unit)}"
    return ""


def _lately(points: Sequence[SignalPoint]) -> list[SignalPoint]:
    """The last intervals under the current scheduler."""
    found: list[SignalPoint] = []
    for each in reversed(points):
        if len(found) == LATELY or each.scheduler != points[-1].scheduler:
            break
        found.append(each)
    return found


def _guarded(facts: Facts, quote: Quote) -> str:
    guards = facts.episode.guards
    said = [f"{quote(each.workload, 80)} {quote(each.text, 80)}" for each in guards[:MOST_GUARDS]]
    if len(guards) > MOST_GUARDS:
        said.append(f"{len(guards) - MOST_GUARDS} more")
    lines = [f"Guarded by name: {'; '.join(said)}."] if said else []
    if limits := _limits(facts.status.tolerated):
        lines.append(f"Guarded for everybody: {limits}.")
    return " ".join(lines)


def _limits(tolerated: Mapping[str, float]) -> str:
    said = [
        f"{words} at most {1 + tolerated[name]:g} times as long"
        for name, words in _LONGER.items()
        if name in tolerated
    ]
    said += [
        f"{words} at most {tolerated[name]:.0%} less"
        for name, words in _LESS.items()
        if name in tolerated
    ]
    if starved := tolerated.get("starved_us"):
        said.append(f"no wait for a CPU of {figure(starved, 'us')} or more, by anybody")
    return "; ".join(said)


# ---------------------------------------------------------------- what can be changed


def _split(profile: ProfileView | None) -> str:
    """The parts of response time, and so the most that a scheduler can gain."""
    split = profile.split if profile else None
    if profile is None or split is None:
        return ""
    share = split.waiting + split.preempted
    bound = 1 - share if profile.bound is None else profile.bound
    said = (
        f"Of its response time {split.running:.0%} is running, {split.waiting:.0%} waiting for a "
        f"CPU after the wakeup, {split.preempted:.0%} waiting after losing one: waiting and being "
        f"preempted are {share:.0%} of response time: no scheduler can make its mean shorter than "
        f"{bound:.2f} of it."
    )
    if profile.burst_p50_us:
        burst = figure(profile.burst_p50_us, "us")
        said += f" From one sleep to the next it takes {burst} of CPU time (p50)."
    if profile.runs_to_completion:
        said += " It runs to completion if allowed."
    return said


def _tick(tick_us: float) -> str:
    if not tick_us:
        return ""
    tick = figure(tick_us, "us")
    return f"Slices end at timer ticks, each {tick}: a shorter slice is rounded up to one."


def _others(facts: Facts, quote: Quote) -> str:
    """How many other workloads run, and which of them use most CPU time."""
    others = [
        (each.last.run_share, each.id)
        for each in facts.workloads
        if each.id != facts.episode.workload and each.last and each.last.run_share > 0
    ]
    if not facts.workloads:
        return ""
    if not others:
        return "No other workload runs."
    busiest = [each for each in sorted(others, reverse=True) if each[0] >= LEAST_CPUS]
    named = ", ".join(f"{quote(id, 60)} {share:.2g}" for share, id in busiest[:MOST_OTHERS])
    noun = "workload runs" if len(others) == 1 else "workloads run"
    return f"{len(others)} other {noun}" + (f"; CPUs that they use: {named}." if named else ".")
