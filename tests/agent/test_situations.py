# SPDX-License-Identifier: GPL-2.0-or-later
"""The offline advisor's proposals for workloads about which an expert has an opinion
(situations.toml).

Everything except for the signals is real: profile, manifests, beliefs, advice. Each situation runs
with a thousand seeds; only the draws are repeated for each seed.
"""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from agent.advisor import Proposal, Situation
from agent.bandit_advisor import advise
from daemon.api.models import (
    Autonomy,
    Degradation,
    EpisodeState,
    EpisodeView,
    KernelView,
    LearnedClass,
    ProfileView,
    SignalPoint,
    StatusView,
)
from daemon.decide.jobs import Finished
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.memory.belief_views import belief_views
from daemon.memory.beliefs import BeliefQuestion
from daemon.understanding.kinds import by_id, judged, says, summed_up
from daemon.understanding.profile import Besides, profile_of
from scheduler_library.catalog import CatalogEntry, load_catalog
from scheduler_library.learning.beliefs import NamedTemplate, options
from scheduler_library.learning.templates import name_of, templates
from scheduler_library.manifest import EntryKind
from tests.understanding.recorded import process

SITUATIONS: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("situations.toml").read_text()
)["situation"]
SEEDS = 1000
NEARLY_ALL = 0.99
NOW = 1_800_000_000.0
BY_NAME = {each["name"]: each for each in SITUATIONS}


def points(figures: Mapping[str, float], began: float, count: int = 8) -> list[SignalPoint]:
    return [
        SignalPoint(
            at=began + 5.0 * number,
            delay_p50_us=figures["p50_us"],
            delay_p99_us=figures["p99_us"],
            slice_mean_us=figures["burst_us"],
            run_share=figures["cpus"],
            wakeups_per_s=figures["wakeups"],
            involuntary_per_s=figures["involuntary"],
            migrations_per_s=figures.get("migrations", 0.0),
            completions_per_s=figures.get("completions", 0.0),
            activations_per_s=figures.get("completions", 0.0),
            burst_mean_us=figures.get("activation_us", 0.0),
            burst_p50_us=figures.get("activation_us", 0.0),
            waiting_share=figures.get("waiting", 0.0),
            preempted_share=figures.get("preempted", 0.0),
        )
        for number in range(count)
    ]


def profile(of: Mapping[str, Any]) -> ProfileView:
    """The daemon's profile of it."""
    id, now, machine = of["workload"], of["now"], of["machine"]
    known = judged(process(of["argv"], program=of["argv"][0])) if "argv" in of else by_id(id)
    (kind,) = summed_up([(known, 1.0)])
    seen = WorkloadObservation(id, threads=now["threads"], exits_per_s=now.get("forks", 0.0))
    return profile_of(
        id,
        points(now, NOW - 60),
        Observation(NOW, 5.0, {id: seen}),
        machine_cpus=machine["cpus"],
        machine_utilisation=machine["utilisation"],
        machine_caches=machine.get("caches", 1),
        finished=Finished(now.get("jobs", 0), now.get("longest", 0.0)),
        besides=Besides(
            of.get("declared", ()),
            says(kind),
            kind.kind.value == "kernel",
            points(of["before"], NOW - 900) if "before" in of else (),
        ),
    )


def believed(met: BeliefQuestion, installed: Callable[[CatalogEntry], bool]) -> LearnedClass:
    """The beliefs on a machine that has tried nothing yet."""
    context = met.context()
    lines = [
        NamedTemplate(each, name_of(each.policy))
        for each in templates(context.tags, context.workload)
    ]
    found = options(
        load_catalog(), lines, context, (), NOW, installed=installed, policy_of=lambda _: ""
    )
    return LearnedClass(tags=list(context.tags), beliefs=belief_views(found, context, [], NOW))


def situation(of: Mapping[str, Any]) -> Situation:
    complaint = of.get("complaint", "")
    declared = complaint if complaint in of.get("declared", ()) else ""
    trigger = Degradation(
        workload=of["workload"], signal=complaint, since=NOW - 60, baseline=1.0, value=9.0,
        ratio=9.0, unit="us", reason="worse", objective=declared,
    )  # fmt: skip
    seen = profile(of)
    others = of.get("installed", ())
    beliefs = believed(
        BeliefQuestion(seen, complaint, of.get("goal", "")),
        lambda entry: entry.manifest.kind is not EntryKind.EXTERNAL or entry.name in others,
    )
    return Situation(
        at=NOW,
        episode=EpisodeView(
            id="e-0000",
            state=EpisodeState.OPEN,
            at=NOW,
            workload=of["workload"],
            goal=of.get("goal", ""),
            trigger=trigger if complaint else None,
            profile=seen,
        ),
        profile=seen,
        status=StatusView(
            version="1", pid=1, since=1.0, autonomy=Autonomy.AUTO, kernel=KernelView(supported=True)
        ),
        beliefs=beliefs,
    )


@cache
def advised(name: str) -> tuple[Counter[str], Counter[str]]:
    """The first proposals and all proposals, over all seeds."""
    of = situation(BY_NAME[name])
    firsts: Counter[str] = Counter()
    anywhere: Counter[str] = Counter()
    for seed in range(SEEDS):
        episode = of.episode.model_copy(update={"id": f"e-{seed:04d}"})
        said = [_title(each) for each in advise(replace(of, episode=episode)).proposals]
        firsts[said[0] if said else "nothing"] += 1
        anywhere.update(said)
    return firsts, anywhere


def _title(proposal: Proposal) -> str:
    return proposal.policy or proposal.scheduler


def _among(title: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(title, each) for each in patterns)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_expert_accepts_what_is_proposed_first(name: str) -> None:
    """With nearly every seed, the first proposal is one that fits the situation."""
    firsts, _ = advised(name)
    accepted = sum(
        count for title, count in firsts.items() if _among(title, BY_NAME[name]["accept"])
    )
    assert accepted >= NEARLY_ALL * SEEDS, firsts.most_common()


@pytest.mark.parametrize("name", BY_NAME)
def test_what_an_expert_would_never_try_is_not_proposed(name: str) -> None:
    """A scheduler that does not fit is never proposed, with any seed."""
    _, anywhere = advised(name)
    wrong = [title for title in anywhere if _among(title, BY_NAME[name]["never"])]
    assert not wrong, anywhere.most_common()


def test_there_are_enough_situations() -> None:
    """There are at least thirty situations with different names, each with something to accept and
    to refuse."""
    assert len(BY_NAME) == len(SITUATIONS) >= 30
    assert all(each["accept"] and each["never"] for each in SITUATIONS)


def test_the_starved_redis_looks_like_a_batch() -> None:
    """Without the operator's objective and its name, the first situation would be a batch: its
    figures do not distinguish it."""
    of = {**SITUATIONS[0], "workload": "comm:x", "declared": [], "complaint": ""}
    assert {"cpu-bound", "batch", "contended"} <= set(profile(of).tags)
    said = profile(SITUATIONS[0])
    assert {"latency-sensitive", "contended"} <= set(said.tags)
    assert not {"batch", "cpu-bound"} & set(said.tags)
    assert said.purposes[0].by == "declared"
    assert "the operator declared" in said.purposes[0].why


def test_slices_are_not_fitted_to_what_starvation_makes_of_bursts() -> None:
    """A starved service seems to run long, and gets no longer slices for that; a batch does."""
    for name, of in BY_NAME.items():
        first = next(iter(advise(situation(of)).proposals), None)
        if first is not None and first.scheduler == "latency":
            assert float(first.parameters.get("slice_ns", 0)) <= 4_000_000, name
    batch = advise(situation(BY_NAME["the training of a model"])).proposals[0]
    assert float(batch.parameters["slice_ns"]) > 20_000_000
