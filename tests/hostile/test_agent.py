# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile names on their way into a model's prompt: the whole agent, with a scripted model.

The model is a script (tests/agent/scripted_anthropic.py). The tests show which text reaches the
model and that the agent's own code is not misled. They do not show what a real model would do.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from agent.claude import prompting
from daemon.api.models import (
    Arm,
    Autonomy,
    Certainty,
    Degradation,
    Direction,
    EpisodeState,
    EpisodeView,
    GuardView,
    KernelView,
    KindView,
    LessonView,
    ObjectiveView,
    ProcessNode,
    ProgramKind,
    SignalPoint,
    StatusView,
    StepKind,
    ThreadGroup,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
    WorkloadProfileView,
    WorkloadView,
)
from daemon.api.situation import Facts
from tests.agent.claude_agent import EFFECT, GOOD, Agent, whole_agent
from tests.agent.machine import Machine
from tests.hostile.corpus import CORPUS, SIGN, Hostile, acts, strings_in, unmarked


class Town(Machine):
    """A machine on which strangers choose the names of processes, threads, the unit and the units
    above it; and an earlier lesson that quotes one."""

    names: tuple[str, ...] = ("calm",)

    def _name(self, number: int) -> str:
        return self.names[number % len(self.names)]

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        nodes = [
            ProcessNode(pid=9 + n, name=name[:15], command=name, user=name[:8])
            for n, name in enumerate(self.names)
        ]
        return WorkloadProfileView(
            workload=id,
            at=self.born,
            cgroup=self._name(1),
            unit=self._name(2),
            started_by=list(self.names),
            tags=["latency-sensitive"],
            kinds=[
                KindView(
                    kind=ProgramKind.DATABASE,
                    certainty=Certainty.LIKELY,
                    evidence=[f"it calls itself {name!r}" for name in self.names],
                )
            ],
            processes=nodes,
            processes_total=len(nodes),
            threads=[ThreadGroup(name=name[:32], threads=1) for name in self.names],
        )

    async def lessons(self) -> list[LessonView]:
        return [LessonView(text=f"seen: {name}"[:500], at=self.born) for name in self.names]

    async def status(self) -> StatusView:
        status = await super().status()
        return status.model_copy(update={"notes": [f"seen: {name}" for name in self.names]})


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with whole_agent(tmp_path_factory.mktemp("hostile"), Town(EFFECT)) as agent:
        yield agent


def told_of(agent: Agent, names: tuple[str, ...]) -> tuple[list[Any], list[tuple[str, str]]]:
    """The model's requests in an episode about a workload with the first of these names, and which
    tools were called, and by whom."""
    machine = agent.served.machine
    assert isinstance(machine, Town)
    machine.names = names
    agent.model.script[:] = GOOD
    agent.model.asked.clear()
    agent.served.call(agent._forget)
    workload = f"cgroup:/{names[0]}"
    closed = agent.closed(agent.served.call(lambda: machine.degrade(workload)))
    assert closed.advisor == "claude", closed.outcome
    called = [
        (each.role.value, each.tool)
        for each in agent.steps(closed.id)
        if each.kind is StepKind.TOOL_CALL
    ]
    return list(agent.model.asked), called


def test_no_prompt_has_a_hostile_name_unmarked(agent: Agent) -> None:
    """In whole episodes each name of the corpus reaches the model only between marks, no character
    of it acts, and the same tools are offered and called as without it."""
    calm, usual = told_of(agent, ("calm",))
    for some in _in_sixes(CORPUS):
        names = tuple(each.signed.replace("\0", "")[:3000] for each in some)
        asked, called = told_of(agent, names)
        reasons = [each.reason for each in some]
        assert called == usual, reasons
        assert [_tools(each) for each in asked] == [_tools(each) for each in calm], reasons
        assert SIGN in str(asked[0])
        for text in strings_in(asked):
            assert not unmarked(text), (reasons, text[:2000])
            assert not acts(text), (reasons, text[:2000])


def _in_sixes(names: tuple[Hostile, ...]) -> Iterator[tuple[Hostile, ...]]:
    for first in range(0, len(names), 6):
        yield names[first : first + 6]


def _tools(asked: Any) -> list[str]:
    return [each["name"] for each in asked.get("tools", [])]


@pytest.mark.parametrize("name", CORPUS, ids=lambda each: each.reason[:50])
def test_each_template_marks_what_it_quotes(name: Hostile) -> None:
    """Each template that the agent fills marks every text field of an episode and of a trial."""
    text = name.signed
    episode = EpisodeView(
        id=text,
        state=EpisodeState.OPEN,
        at=2.0,
        workload=text,
        goal=text,
        trigger=Degradation(
            workload=text,
            signal=text,
            since=1.0,
            baseline=1.0,
            value=2.0,
            ratio=2.0,
            unit=text,
            reason=text,
            objective=text,
        ),
        objective=text,
        guards=[GuardView(workload=text, text=text, unit=text, baseline=1, candidate=2)],
        warnings=[text],
    )
    point = SignalPoint(
        at=1.0,
        delay_p50_us=1,
        delay_p99_us=2,
        slice_mean_us=3,
        run_share=0.5,
        wakeups_per_s=1,
        involuntary_per_s=1,
        migrations_per_s=1,
    )
    declared = ObjectiveView(
        workload=text, text=text, metric=text, direction=Direction.LOWER, unit=text, value=1.0
    )
    status = StatusView(
        version="0",
        pid=1,
        since=0.0,
        autonomy=Autonomy.AUTO,
        kernel=KernelView(supported=True, tick_us=4000),
        objectives=[declared],
    )
    facts = Facts(
        episode,
        status,
        points=[point],
        workloads=[WorkloadView(id=f"comm:{text}", last=point)],
    )
    trial = TrialView(
        id=text,
        state=TrialState.ROLLED_BACK,
        candidate=text,
        scheduler=text,
        objective=text,
        direction=Direction.LOWER,
        unit=text,
        at=1.0,
        next_arm=Arm.BASELINE,
        policy=f"slice {text}",
        parameters={"slice": text},
        guards=episode.guards,
        windows=[
            WindowView(
                arm=arm,
                started=0,
                ended=1,
                value=1,
                guarded={"delay_max_us": 5.0},
                longest_comm=text,
                stay_us=1.0,
            )
            for arm in Arm
        ],
        reason=text,
        verdict=VerdictView.model_validate(
            {
                "decision": "rollback",
                "ratio": 1.0,
                "low": 0.9,
                "high": 1.1,
                "confidence": 0.95,
                "gain": 0.0,
                "reason": text,
                "windows_baseline": 2,
                "windows_candidate": 2,
                "guarded": {text: text},
                "compared": [{"name": text, "unit": text, "baseline": (1, 2), "said": text}],
            }
        ),
    )
    account = prompting.account_of(trial)
    without = prompting.account_of(trial.model_copy(update={"verdict": None}))
    for prompt in (
        account,
        without,
        prompting.situation(facts, [], text, account),
        prompting.learning(episode, [text], [trial]),
    ):
        assert SIGN in prompt
        assert not unmarked(prompt)
        assert not acts(prompt)
