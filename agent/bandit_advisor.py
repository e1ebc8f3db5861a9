# SPDX-License-Identifier: GPL-2.0-or-later
"""An advisor without a model: it proposes the scheduler with the best belief first.

The daemon keeps every trial's result and has a belief about each scheduler, and about the policy
lines that fit such a workload: a normal distribution over the gain there (`GET /v1/learned`,
docs/learning.md). The largest expected gain is tried first. Among about equally good ones, one draw
from each decides (Thompson sampling), seeded by the episode, so that the same situation gets the
same advice. A scheduler that its page calls bad for this workload's figure is not tried, unless it
was kept on such a workload here.
"""

import hashlib
import math
import random
import re

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from daemon.api.models import BeliefView, Decision, TrialState, TrialView
from daemon.api.telling import gained, gains

NAME = "offline"
# Maximum number of proposals for one question.
MOST_PROPOSALS = 3
# A trial disturbs everybody on the machine: an expected gain below this is not worth one.
LEAST_GAIN = 0.03
# A measured scheduler with less than this chance of any gain is known not to help.
LEAST_CHANCE = 0.1
# A scheduler that was kept on such a workload, and is better than each other with this
# probability, is known to help: the others are not tried beside it.
CERTAIN = 0.9
# Draws are nearer to the mean than the posterior's own deviation: with its full deviation Thompson
# sampling explores more than a machine in use can bear (Chapelle and Li 2011 find the same).
DRAW_FACTOR = 0.5
# An unmeasured scheduler is about as good as another whose expected gain is at most this much
# larger. The figures of a page are no finer.
EQUAL_GAIN = 0.01
# A measured scheduler is about as good as the best if it is better with this probability.
EQUAL_CHANCE = 0.25
# If a workload's wait for a CPU is no longer than this, microseconds, and the machine has room, no
# scheduler can improve it.
SHORT_WAIT_US = 1_000.0
ROOM_UTILISATION = 0.7
# A string in a policy, quotes included.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def _refusal(belief: BeliefView, situation: Situation) -> str:
    """Why this should not be tried now; "" if it may be."""
    if belief.refused or belief.warned:
        return belief.refused or belief.warned
    at, name = situation.at, belief.scheduler
    for entry in situation.status.quarantine:
        if entry.scheduler == name and (entry.until == 0 or entry.until > at):
            return "quarantined"
    if any(trial.scheduler == name for trial in situation.tried):
        return "tried in this episode"
    if any(
        each.proposal.scheduler == name or (belief.policy and each.proposal.policy == belief.policy)
        for each in situation.refused
    ):
        return "refused in this episode"
    loaded = situation.status.loaded
    if loaded and loaded.name == name and loaded.parameters == belief.parameters:
        return "running already"
    return ""


def _draw(seed: str, belief: BeliefView) -> float:
    """One draw from the posterior, the same for the same episode and scheduler."""
    digest = hashlib.sha256(f"{seed}\0{belief.scheduler}".encode()).digest()
    # This needs reproducibility, not secrecy.
    return random.Random(digest).gauss(belief.mean, DRAW_FACTOR * belief.deviation)  # noqa: S311


def _hopeless(belief: BeliefView) -> str:
    """Why no gain can be expected from it; "" if one can."""
    if belief.observations and belief.chance < LEAST_CHANCE:
        return "known not to help"
    return "" if belief.mean >= LEAST_GAIN else "no gain expected"


def _better(one: BeliefView, other: BeliefView) -> float:
    """The probability that one is better than another."""
    deviation = math.hypot(one.deviation, other.deviation)
    return 0.5 * math.erfc((other.mean - one.mean) / (deviation * math.sqrt(2)))


def _certain(ranked: list[BeliefView]) -> BeliefView | None:
    """The scheduler known to be best; None if that is open."""
    best = max(ranked, key=lambda each: (each.mean, each.scheduler), default=None)
    if best is None or not best.kept:
        return None
    others = [each for each in ranked if each is not best]
    return best if all(_better(best, each) >= CERTAIN for each in others) else None


def _expectation(belief: BeliefView) -> str:
    return f"about {gained(belief.mean)} by the objective ({gains(belief.low, belief.high)})"


def _proposal(belief: BeliefView) -> Proposal:
    return Proposal(
        belief.scheduler,
        dict(belief.parameters),
        "; ".join(belief.why),
        _expectation(belief),
        belief.mean,
        belief.policy,
    )


def _in_turn(beliefs: list[BeliefView], seed: str) -> list[BeliefView]:
    """In the order to try them: the best known first; draws order those that are about as good."""
    rest = sorted(beliefs, key=lambda each: (-each.mean, each.scheduler))
    found: list[BeliefView] = []
    while rest:
        best = rest[0]
        equal = [each for each in rest if each is best or _about_as_good(each, best)]
        chosen = max(equal, key=lambda each: (_draw(seed, each), each.scheduler))
        found.append(chosen)
        rest.remove(chosen)
    return found


def _about_as_good(one: BeliefView, best: BeliefView) -> bool:
    if one.observations or best.observations:
        return _better(one, best) >= EQUAL_CHANCE
    return best.mean - one.mean <= EQUAL_GAIN


def _nothing_wrong(situation: Situation) -> str:
    """Why no scheduler can improve this workload; "" if one may."""
    figures = situation.profile.figures
    if situation.episode.trigger is not None or not figures.get("seconds"):
        return ""
    waits_us = figures.get("delay_p99_us", 0.0)
    used = figures.get("machine_utilisation", 1.0)
    if waits_us > SHORT_WAIT_US or used > ROOM_UTILISATION:
        return ""
    return (
        "nothing is wrong with how it is scheduled: one in a hundred of its waits for a CPU is "
        f"longer than {waits_us:.0f} us, and {used:.0%} of the machine is in use"
    )


def advise(situation: Situation, most: int = MOST_PROPOSALS) -> Advice:
    """The offline advice for a situation: at most `most` proposals, best first."""
    status = situation.status
    if not status.kernel.supported:
        return Advice((), "this kernel has no sched_ext")
    if status.foreign:
        return Advice((), "a scheduler that is not ours is loaded; it is left alone")
    if fine := _nothing_wrong(situation):
        return Advice((), fine)
    tags = ", ".join(situation.beliefs.tags) or "nothing in particular"
    open_: list[BeliefView] = []
    skipped: list[str] = []
    for belief in situation.beliefs.beliefs:
        why = _refusal(belief, situation) or _hopeless(belief)
        if why:
            # Schedulers that are not installed are not listed: there are many of them.
            if why != "not installed":
                skipped.append(f"{belief.scheduler}: {why}")
        else:
            open_.append(belief)
    certain = _certain(open_)
    if certain is not None:
        said = f"the workload is: {tags}; it is known what helps it"
        return Advice((_proposal(certain),), said)
    chosen = _in_turn(open_, situation.episode.id)[:most]
    if chosen:
        because = [f"the workload is: {tags}", *(each.why for each in situation.profile.purposes)]
        return Advice(tuple(map(_proposal, chosen)), "; ".join(because))
    return Advice((), "nothing in the library promises a gain (" + "; ".join(skipped) + ")")


def nameless(text: str) -> str:
    """A text without the names that a policy in it contains."""
    return _QUOTED.sub("…", text)


def lesson(result: EpisodeResult) -> str:
    """One line from one verdict, without any name from the system: names in a policy line are left
    out.

    It is a claim without figures, so that a repeated claim is equal; the daemon adds the
    measurements as its evidence.
    """
    trial: TrialView = result.trial
    tags = ", ".join(result.situation.profile.tags) or "of no particular kind"
    what = trial.scheduler
    if result.proposal.policy:
        what += f" ({nameless(result.proposal.policy)})"
    if trial.verdict is None:
        if trial.state is TrialState.FAILED:
            return f"{what} on workloads that are {tags}: the trial failed"[:500]
        return ""
    objective = re.sub(r"\s+", " ", trial.objective)
    word = "makes better" if trial.verdict.decision is Decision.KEEP else "does not make better"
    return f"{what} {word}, by {objective}: workloads that are {tags}"[:500]


class BanditAdvisor:
    """`advise` and `lesson` behind the interface of all advisors.

    It has no memory: the daemon records every outcome, and the next situation contains the beliefs
    that follow.
    """

    name = NAME

    async def propose(self, situation: Situation) -> Advice:
        return advise(situation)

    async def learn(self, result: EpisodeResult) -> str:
        return lesson(result)
