# SPDX-License-Identifier: GPL-2.0-or-later
"""An advisor without a model: what is believed of each scheduler, the best known first.

The daemon keeps what every trial brought and says what it believes of each scheduler, and of the
lines of policy that fit such a workload: a normal distribution over its gain there
(`GET /v1/learned`, docs/learning.md). What is expected to gain most is tried first. Only between
what is about equally good one draw from each decides (Thompson sampling), seeded by the episode, so
that the same situation gets the same advice. What a page calls bad for what counts for the workload
is not tried, unless it was kept on such a workload here.
"""

import hashlib
import math
import random
import re

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from daemon.api.models import BeliefView, Decision, TrialState, TrialView
from daemon.api.telling import gained, gains

NAME = "offline"
# At most this many proposals for one question.
MOST_PROPOSALS = 3
# A trial disturbs everybody on the machine: what promises less than this is not worth one.
LEAST_GAIN = 0.03
# What was measured and has less than this chance of any gain is known not to help.
LEAST_CHANCE = 0.1
# A scheduler that was kept on such a workload, and is better than each other with this
# probability, is known to help: the others are not tried beside it.
CERTAIN = 0.9
# Draws are nearer to the mean than the posterior's own deviation: with the whole of it Thompson
# sampling explores more than a machine in use can bear (Chapelle and Li 2011 find the same).
DRAW_FACTOR = 0.5
# What nothing was measured of is about as good as what is expected to gain so much more. The
# figures of a page are no finer.
EQUAL_GAIN = 0.01
# What was measured is about as good as the best where it is better with this probability.
EQUAL_CHANCE = 0.25
# Where a workload waits no longer than this for a CPU, and the machine has room, microseconds: no
# scheduler can give it anything.
SHORT_WAIT_US = 1_000.0
ROOM_UTILISATION = 0.7
# A string in a policy, quotes included.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def _refusal(belief: BeliefView, situation: Situation) -> str:
    """Why this is not to be tried now, or nothing."""
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
    # Reproducibility is what is wanted here, not secrecy.
    return random.Random(digest).gauss(belief.mean, DRAW_FACTOR * belief.deviation)  # noqa: S311


def _hopeless(belief: BeliefView) -> str:
    """Why nothing is to be had from it, or nothing."""
    if belief.observations and belief.chance < LEAST_CHANCE:
        return "known not to help"
    return "" if belief.mean >= LEAST_GAIN else "no gain expected"


def _better(one: BeliefView, other: BeliefView) -> float:
    """The probability that one is better than another."""
    deviation = math.hypot(one.deviation, other.deviation)
    return 0.5 * math.erfc((other.mean - one.mean) / (deviation * math.sqrt(2)))


def _certain(ranked: list[BeliefView]) -> BeliefView | None:
    """What is known to be best; None while that is open."""
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
    """In the order to try them: the best known first, and by draw what is about as good."""
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
    """Why no scheduler can give this workload anything, or nothing."""
    figures = situation.profile.figures
    if situation.episode.trigger is not None or not figures.get("seconds"):
        return ""
    waits_us = figures.get("delay_p99_us", 0.0)
    used = figures.get("machine_utilisation", 1.0)
    if waits_us > SHORT_WAIT_US or used > ROOM_UTILISATION:
        return ""
    return (
        f"nothing is wrong with how it is scheduled: of its waits for a CPU one in a hundred is "
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
            # What is not installed is no news, and there is much of it.
            if why != "not installed":
                skipped.append(f"{belief.scheduler}: {why}")
        else:
            open_.append(belief)
    certain = _certain(open_)
    if certain is not None:
        said = f"the workload is: {tags}; what helps it is known"
        return Advice((_proposal(certain),), said)
    chosen = _in_turn(open_, situation.episode.id)[:most]
    if chosen:
        because = [f"the workload is: {tags}", *(each.why for each in situation.profile.purposes)]
        return Advice(tuple(map(_proposal, chosen)), "; ".join(because))
    return Advice((), "nothing in the library promises a gain (" + "; ".join(skipped) + ")")


def nameless(text: str) -> str:
    """A text without what a policy in it names."""
    return _QUOTED.sub("…", text)


def lesson(result: EpisodeResult) -> str:
    """One line from one verdict, without any name that came from the system: those that a line of
    policy holds are left out.

    It is a claim without figures, so that the same one made again is the same; the daemon adds
    what was measured as its evidence.
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

    It remembers nothing itself: the daemon records every outcome, and the next situation
    brings what follows from them.
    """

    name = NAME

    async def propose(self, situation: Situation) -> Advice:
        return advise(situation)

    async def learn(self, result: EpisodeResult) -> str:
        return lesson(result)
