# SPDX-License-Identifier: GPL-2.0-or-later
"""Three situations as texts for a model: requests with long bursts, an editor beside a backup that
must go on, and a batch. The figures of the first two come from runs in which such texts misled a
model."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from daemon.api.models import (
    Arm,
    CandidateRequest,
    CandidateView,
    Certainty,
    ComparedView,
    Decision,
    Direction,
    EpisodeRequest,
    EpisodeView,
    EventKind,
    GuardView,
    KernelView,
    KindView,
    Parallelism,
    ProcessNode,
    ProfileView,
    ProgramKind,
    SchedulerView,
    SignalPoint,
    SignalsView,
    StatusView,
    ThreadGroup,
    TrialRequest,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
    WorkloadProfileView,
    WorkloadView,
)
from tests.agent.machine import Machine, entry

TICK_US = 4000.0
TOLERATED = {
    "machine_run_share": 0.1,
    "others_run_share": 0.2,
    "others_response_p99_us": 4.0,
    "own_throughput": 0.1,
    "starved_us": 1_000_000.0,
}
ENTRIES = (
    entry("batch", ("batch", "cpu-bound", "long-bursts"), ("latency-sensitive",)),
    entry("fifo", ("long-bursts",), ("overcommitted",)),
    entry("latency", ("latency-sensitive", "short-bursts"), ("batch",)),
    entry("jobs", ("uneven-jobs", "fork-heavy"), ("latency-sensitive",)),
    entry("scx_lavd", ("latency-sensitive", "interactive"), installed=False),
)


def point(cpus: float, **others: float) -> SignalPoint:
    given = {
        "at": 1.0,
        "delay_p50_us": 900.0,
        "delay_p99_us": 9_700.0,
        "slice_mean_us": 3_400.0,
        "run_share": cpus,
        "wakeups_per_s": 44.0,
        "involuntary_per_s": 580.0,
        "migrations_per_s": 60.0,
        **others,
    }
    return SignalPoint.model_validate(given)


def window(arm: Arm, value: float, **others: object) -> WindowView:
    given = {"arm": arm, "started": 0.0, "ended": 15.0, "value": value, "samples": 600, **others}
    return WindowView.model_validate(given)


@dataclass(frozen=True)
class Situation:
    """`after` is a finished trial; the first message is from before it."""

    name: str
    goal: str
    policy: str
    workload: str
    objective: str
    tags: Sequence[str]
    kind: ProgramKind
    bursts_us: float
    after: TrialView
    responses: dict[str, object]
    points: Sequence[SignalPoint]
    others: Sequence[tuple[str, float]]
    guards: Sequence[GuardView] = ()
    threads: Sequence[ThreadGroup] = ()
    warnings: Sequence[str] = ()
    figures: dict[str, float] = field(default_factory=dict)


def _trial(policy: str, objective: str, workload: str, **others: object) -> TrialView:
    given = {
        "id": "t-0000",
        "state": TrialState.ROLLED_BACK,
        "candidate": "c-0000",
        "scheduler": "policy-0a1b2c3d",
        "policy": policy,
        "workload": workload,
        "objective": objective,
        "direction": Direction.LOWER,
        "unit": "us",
        "at": 1.0,
        "ended": 130.0,
        **others,
    }
    return TrialView.model_validate(given)


def _verdict(
    decision: Decision, low: float, high: float, reason: str, **others: object
) -> VerdictView:
    ratio = (low * high) ** 0.5
    given = {
        "decision": decision,
        "ratio": ratio,
        "low": low,
        "high": high,
        "confidence": 0.95,
        "gain": 1 - ratio,
        "reason": reason,
        "windows_baseline": 4,
        "windows_candidate": 4,
        **others,
    }
    return VerdictView.model_validate(given)


def _requests() -> Situation:
    policy = "order fifo; slice 100ms"
    workload, objective = "comm:schbench", "response p99; completions not worse than 5%"
    before = [
        window(
            Arm.BASELINE,
            value,
            guarded={
                "others_response_p99_us": spike,
                "others_run_share": 0.04,
                "delay_max_us": worst,
            },
            longest_comm="schbench",
            stay_us=stay,
        )
        for value, spike, worst, stay in (
            (192e3, 1.2e3, 41e3, 3.4e3),
            (201e3, 187e3, 66e3, 3.6e3),
            (187e3, 12e3, 44e3, 3.5e3),
            (195e3, 1.9e3, 52e3, 3.4e3),
        )
    ]
    after = [
        window(
            Arm.CANDIDATE,
            value,
            guarded={
                "others_response_p99_us": spike,
                "others_run_share": 0.04,
                "delay_max_us": 170e3,
            },
            longest_comm="kworker/0:2",
            stay_us=81e3,
        )
        for value, spike in ((70e3, 8.4e3), (62e3, 11e3), (66e3, 9.6e3), (64e3, 10.2e3))
    ]
    compared = [
        ComparedView(
            name="response p99",
            unit="us",
            baseline=(187e3, 201e3),
            candidate=(62e3, 70e3),
            ratio=0.34,
            low=0.31,
            high=0.37,
            state="better",
        ),
        ComparedView(
            name="completions not worse than 5%",
            unit="1/s",
            baseline=(41.0, 43.0),
            candidate=(86.0, 91.0),
            ratio=2.1,
            low=2.02,
            high=2.2,
            state="better",
        ),
    ]
    verdict = _verdict(
        Decision.KEEP,
        0.31,
        0.37,
        "response p99 65 ms instead of 193 ms: 66% better (63% to 69% better, with 95% confidence)",
        compared=compared,
    )
    return Situation(
        "requests",
        "lower request latency (p99) and more requests a second",
        policy,
        workload,
        objective,
        ("long-bursts", "overcommitted", "service", "cut-short"),
        ProgramKind.LOAD_GENERATOR,
        84e3,
        _trial(
            policy,
            objective,
            workload,
            state=TrialState.KEPT,
            verdict=verdict,
            windows=[*before, *after],
        ),
        {
            "split": {"running": 0.45, "waiting": 0.06, "preempted": 0.49},
            "bound": 0.45,
            "runs_to_completion": True,
            "response_p50_us": 160e3,
            "response_p99_us": 193e3,
            "completions_per_s": 42.0,
            "burst_p50_us": 84e3,
        },
        [
            point(1.9, response_p50_us=150e3, response_p99_us=p99, completions_per_s=rate)
            for p99, rate in ((187e3, 43.0), (201e3, 41.0), (192e3, 42.0), (195e3, 42.0)) * 5
        ],
        (
            ("cgroup:/system.slice/ssh.service", 0.01),
            ("kthread:kworker", 0.03),
            ("comm:init", 0.001),
        ),
        threads=(
            ThreadGroup(
                name="schbench-worker",
                threads=4,
                run_share=0.47,
                wait_share=0.51,
                run_us=3_450.0,
                sleeps_per_s=42.0,
                preemptions_per_s=560.0,
                pattern="long-bursts",
            ),
        ),
    )


def _editor() -> Situation:
    policy = 'comm = "editor" { latency; preempt; slice 3ms }'
    workload, objective = "comm:editor", "response p99"
    guard = GuardView(
        workload="comm:backup", text="completions not worse than 50%", unit="1/s", state="unseen"
    )
    judged = guard.model_copy(
        update={
            "baseline": 38.0,
            "candidate": 9.0,
            "ratio": 0.24,
            "low": 0.2,
            "high": 0.29,
            "state": "broken",
        }
    )
    windows = [
        window(
            arm,
            value,
            guarded={"others_run_share": share, "delay_max_us": worst},
            longest_comm=who,
            stay_us=stay,
        )
        for arm, value, share, worst, who, stay in (
            (Arm.BASELINE, 31e3, 1.7, 23e3, "backup", 400.0),
            (Arm.CANDIDATE, 2.9e3, 1.68, 808e3, "backup", 420.0),
            (Arm.CANDIDATE, 3.3e3, 1.7, 10.052e6, "khugepaged", 410.0),
            (Arm.BASELINE, 44e3, 1.71, 558e3, "backup", 405.0),
        )
    ]
    verdict = _verdict(
        Decision.ROLLBACK,
        0.06,
        0.12,
        "comm:backup completions 71% to 80% worse, more than the 50% tolerated, though response "
        "p99 3.1 ms instead of 37 ms",
        early=True,
        windows_baseline=2,
        windows_candidate=2,
    )
    return Situation(
        "editor",
        "typing must not lag; the backup may take as long as it likes, but must still go on",
        policy,
        workload,
        objective,
        ("interactive", "short-bursts"),
        ProgramKind.INTERACTIVE,
        380.0,
        _trial(policy, objective, workload, guards=[judged], verdict=verdict, windows=windows),
        {
            "split": {"running": 0.08, "waiting": 0.83, "preempted": 0.09},
            "bound": 0.08,
            "runs_to_completion": False,
            "response_p50_us": 1_900.0,
            "response_p99_us": 37e3,
            "completions_per_s": 11.0,
            "burst_p50_us": 380.0,
        },
        [
            point(0.02, response_p50_us=1_900, response_p99_us=p99, completions_per_s=11.0)
            for p99 in (31e3, 44e3, 37e3, 29e3, 40e3) * 4
        ],
        (("comm:backup", 1.72), ("kthread:khugepaged", 0.001), ("comm:sshd", 0.004)),
        guards=(guard,),
    )


def _batch() -> Situation:
    policy = "order by expected_runtime desc; slice 10ms"
    workload, objective = "cgroup:/batch.slice/build.service", "makespan"
    early = _verdict(
        Decision.ROLLBACK,
        1.0,
        1.0,
        "asked for by the operator: the machine is needed",
        confidence=0.0,
        early=True,
        windows_baseline=1,
        windows_candidate=0,
    )
    return Situation(
        "batch",
        "the whole build should be done sooner",
        policy,
        workload,
        objective,
        ("uneven-jobs", "fork-heavy", "cpu-bound", "overcommitted"),
        ProgramKind.BUILD,
        0.0,
        _trial(
            policy,
            objective,
            workload,
            unit="s",
            verdict=early,
            windows=[window(Arm.BASELINE, 44.2, stay_us=3_100.0)],
        ),
        {},
        [point(1.95) for _ in range(20)],
        (("comm:init", 0.001),),
        figures={"forks_per_s": 3.2, "jobs_finished": 64.0},
    )


SITUATIONS = (_requests(), _editor(), _batch())


class ToldMachine(Machine):
    """A machine in one of the situations; a trial there ends at once."""

    def __init__(self, situation: Situation) -> None:
        super().__init__()
        self.situation = situation

    async def status(self) -> StatusView:
        status = await super().status()
        return status.model_copy(
            update={
                "kernel": KernelView(supported=True, state="disabled", tick_us=TICK_US),
                "tolerated": TOLERATED,
            }
        )

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        points = list(self.situation.points)
        return SignalsView(interval_s=1.0, at=self.born, workload=workload, series=points)

    async def workloads(self) -> list[WorkloadView]:
        own = WorkloadView(id=self.situation.workload, last=self.situation.points[-1])
        return [own, *(WorkloadView(id=id, last=point(c)) for id, c in self.situation.others)]

    def _profile(self) -> ProfileView:
        found = self.situation
        return ProfileView.model_validate(
            {
                "workload": found.workload,
                "tags": list(found.tags),
                "figures": {"mean_burst_us": found.bursts_us, "machine_cpus": 2.0, **found.figures},
                **found.responses,
            }
        )

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        found, cpus = self.situation, self.situation.points[-1].run_share
        name = found.workload.partition(":")[2][:15]
        return WorkloadProfileView.model_validate(
            {
                "workload": id,
                "at": self.born,
                "tags": list(found.tags),
                "figures": {
                    "mean_burst_us": found.bursts_us,
                    "cpus_used": cpus,
                    "machine_cpus": 2.0,
                    "machine_utilisation": 0.97,
                    **found.figures,
                },
                "kinds": [
                    KindView(
                        kind=found.kind, certainty=Certainty.LIKELY, share=0.98, evidence=[name]
                    )
                ],
                "processes": [
                    ProcessNode(pid=4000, name=name, threads=5, user="dev", cpu_share=cpus)
                ],
                "processes_total": 1,
                "threads": list(found.threads),
                "threads_total": sum(each.threads for each in found.threads),
                "parallelism": Parallelism(running_mean=cpus, waiting_mean=2.1, most=5, looks=20),
                **found.responses,
            }
        )

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        words = {*query.split(), *self.situation.tags}
        return [each for each in ENTRIES if words & set(each.good_for)]

    async def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        view = await super().open_episode(request)
        found = self.situation
        view = view.model_copy(
            update={
                "objective": found.objective,
                "guards": list(found.guards),
                "warnings": list(found.warnings),
                "profile": self._profile(),
            }
        )
        self.kept_episodes[view.id] = view
        return view

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        view = await super().create_candidate(request)
        return view.model_copy(update={"policy": request.policy or ""})

    async def start_trial(self, request: TrialRequest) -> TrialView:
        self.asked.append(("start_trial", request))
        trial = self.situation.after.model_copy(
            update={"id": f"t-{len(self.trials):04d}", "episode": request.episode or ""}
        )
        self.trials[trial.id] = trial.model_copy(update={"ended": time.time()})
        self._tell(EventKind.VERDICT, trial, trial.state.value)
        return self.trials[trial.id]
