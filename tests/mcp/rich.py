# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake machine on which a lot happens. Every free text on it quotes one name.

A realistic name shows how large answers become; a hostile name shows where it goes.
"""

import time
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from daemon.api.models import (
    Arm,
    BeliefView,
    CandidateRequest,
    CandidateView,
    Certainty,
    CountersView,
    Degradation,
    DelayView,
    Direction,
    EpisodeState,
    EpisodeView,
    EventKind,
    Gate,
    GateMessage,
    GateResult,
    HistogramBucket,
    HistogramView,
    KernelView,
    KindView,
    LearnedClass,
    LearnedView,
    LessonView,
    Limitation,
    LimitsView,
    LoadedScheduler,
    MeasureHint,
    ObjectiveView,
    OutcomeView,
    Parallelism,
    PendingApproval,
    PressureView,
    ProbeRequest,
    ProbeView,
    ProcessNode,
    ProfileView,
    ProgramKind,
    QuarantineView,
    SchedulerDetail,
    SchedulerView,
    SignalsView,
    SplitView,
    StatusView,
    StepKind,
    StepRole,
    StepView,
    TableView,
    ThreadGroup,
    TrialState,
    TrialView,
    VerdictView,
    WaitsView,
    WindowView,
    WorkloadProfileView,
    WorkloadView,
)
from scheduler_library.catalog import Catalog, load_catalog
from scheduler_library.retrieval import search
from tests.agent.machine import Machine, ServedMachine, entry, serving

NAME = "/srv/app/releases/20261107/bin/request-server --listen 0.0.0.0:8080 --workers 16"
TAGS = ["latency-sensitive", "short-bursts", "many-threads", "overcommitted", "request-response"]
WORKLOADS = 60
EPISODE, TRIAL, CANDIDATE = "e-1a2b3c4d5e", "t-1a2b3c4d5e", "c-1a2b3c4d5e"


@cache
def _catalog() -> Catalog:
    return load_catalog()


class RichMachine(Machine):
    """`name` is in every text that a stranger could have written."""

    def __init__(self, name: str = NAME) -> None:
        super().__init__()
        self.name = name
        self.candidates[CANDIDATE] = self._checked(CANDIDATE, proven=True)

    @property
    def hidden(self) -> str:
        """A workload's id that contains the name."""
        return f"cgroup:/system.slice/{self.name}"

    def _quoting(self, text: str) -> str:
        return f"{text}: {self.name}"

    def _degradation(self, number: int) -> Degradation:
        return Degradation(
            workload=f"{self.hidden}{number or ''}",
            signal="delay_p99_us",
            since=self.born - 60,
            baseline=312.456,
            value=9876.543 - number,
            ratio=31.6 - number,
            unit="us",
            reason=self._quoting("run-queue delay p99 is 31 times its usual"),
        )

    async def status(self) -> StatusView:
        objectives = [
            ObjectiveView(
                workload=f"{self.hidden}{number or ''}",
                text="latency p99 < 5ms",
                metric="delay_p99_us",
                direction=Direction.LOWER,
                limit=5000.0,
                unit="us",
                value=9876.5,
                broken=number < 2,
            )
            for number in range(6)
        ]
        return StatusView(
            version="0.1.0",
            pid=4711,
            since=self.born,
            autonomy=self.autonomy,
            advice_only=Limitation(reason=self._quoting("three rollbacks in an hour")),
            cooldown=Limitation(reason=self._quoting("after a rollback"), until=self.born + 600),
            kernel=KernelView(supported=True, state="enabled", ops="policy_0a1b2c3d"),
            cpu_sets={"cpus fast": "0-7", "cpus slow": "8-15"},
            smt=True,
            loaded=LoadedScheduler(
                name="policy-0a1b2c3d",
                candidate=CANDIDATE,
                policy=f'comm ~ "{self.name}" {{ latency; preempt; slice 1ms }}',
                parameters={"slice_ns": 3_000_000, "note": self.name},
                since=self.born - 3600,
                why="kept",
                lease_s=10.0,
            ),
            foreign=self.name,
            trial=self.running,
            episode=EPISODE,
            approvals=[
                PendingApproval(
                    id="a-0011223344",
                    trial=TRIAL,
                    candidate=CANDIDATE,
                    scheduler="latency",
                    workload=self.hidden,
                    objective=self._quoting("latency p99"),
                    at=self.born,
                )
            ],
            degraded=[self._degradation(number) for number in range(9)],
            objectives=objectives,
            quarantine=[
                QuarantineView(
                    candidate=CANDIDATE,
                    scheduler="batch",
                    reason=self._quoting("ejected: a task was not run for 30 s"),
                    since=self.born,
                    until=self.born + 86_400,
                )
            ]
            * 5,
            notes=[self._quoting("no perf counters in this virtual machine")] * 6,
        )

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        view = await super().signals(workload, last_s)
        machine = {
            "cpus": 16,
            "utilisation": 0.9731,
            "context_switches_per_s": 48211.2,
            "runnable": 41,
            "loadavg": [41.2, 38.0, 20.1],
            "perf": None,
            "perf_note": self._quoting("no counters"),
            "psi_cpu": {"some_avg10": 61.2, "some_us": 1, "full_avg10": 0, "full_us": 0},
            "sched_ext": {"events": {"SCX_EV_SELECT_CPU_FALLBACK": 12}},
        }
        line = {"machine": machine, "workloads": [{"id": self.hidden}]}
        return view.model_copy(update={"line": line})

    async def workloads(self) -> list[WorkloadView]:
        return [
            WorkloadView(
                id=f"{self.hidden}{number or ''}",
                last=self._point(self.born, 9000.0 - number, "latency"),
                baseline_delay_p99_us=312.4,
                degraded=self._degradation(number) if number < 9 else None,
                tags=TAGS,
            )
            for number in range(WORKLOADS)
        ]

    async def workload_profile(self, id: str) -> WorkloadProfileView:
        self.asked.append(("workload_profile", id))
        return WorkloadProfileView(
            workload=id,
            at=self.born,
            took_ms=412.0,
            cgroup=self.name,
            unit=self.name,
            started_by=[self.name] * 4,
            tags=TAGS,
            split=SplitView(running=0.412, waiting=0.201, preempted=0.387),
            bound=0.412,
            runs_to_completion=True,
            response_p50_us=20_912.3,
            response_p99_us=98_765.4,
            completions_per_s=181.25,
            burst_p50_us=8_123.4,
            figures={
                "mean_burst_us": 412.3456,
                "slice_us": 391.2,
                "unended_share": 0.012,
                "wakeups_per_s": 18211.7,
                "cpus_used": 11.72,
                "threads": 164.0,
                "forks_per_s": 0.21,
                "migrations_per_s": 812.4,
                "involuntary_ratio": 0.4123,
                "delay_p50_us": 81.2,
                "delay_p99_us": 9876.5,
                "machine_cpus": 16.0,
                "machine_utilisation": 0.97,
            },
            kinds=[
                KindView(
                    kind=kind,
                    certainty=Certainty.LIKELY,
                    share=share,
                    evidence=[self._quoting("the program")] * 3,
                )
                for kind, share in ((ProgramKind.WEB_SERVER, 0.8), (ProgramKind.DATABASE, 0.15))
            ],
            processes=[
                ProcessNode(
                    pid=4000 + number,
                    parent=4000 if number else 0,
                    depth=min(number, 1),
                    name=self.name[:15],
                    command=self.name,
                    user=self.name,
                    threads=16,
                    cpu_share=2.5 / (number + 1),
                    kind=ProgramKind.WEB_SERVER,
                )
                for number in range(24)
            ],
            processes_total=64,
            threads=[
                ThreadGroup(
                    name=f"{self.name[:12]}{number}",
                    threads=16,
                    run_share=0.41,
                    wait_share=0.33,
                    sleeps_per_s=911.4,
                    preemptions_per_s=88.1,
                    run_us=391.2,
                    burst_us=8_123.4,
                    response_us=20_912.3,
                    pattern="short-bursts",
                )
                for number in range(12)
            ],
            threads_total=164,
            threads_looked_at=128,
            parallelism=Parallelism(running_mean=11.2, waiting_mean=21.4, most=48, looks=20),
            waits=WaitsView(
                runqueue_share=0.33,
                io_share=0.04,
                sleep_share=0.2,
                lock_share=0.11,
                asleep_in={"futex": 21, "epoll": 64, "read": 3},
            ),
            delay=DelayView(
                p50_us=81.2, p90_us=2311.0, p99_us=9876.5, max_us=48111.0, count=91822, seconds=5.0
            ),
            pressure=[
                PressureView(scope="workload", cpu=48.2, io=1.2, memory=0.0),
                PressureView(scope="machine", cpu=61.2, io=2.2, memory=0.1),
            ],
            limits=LimitsView(cpus=12.0, weight=100, throttled_share=0.02, allowed_cpus="0-15"),
            counters=CountersView(instructions_per_cycle=1.21),
            sure_of=[self._quoting("its threads wait longer for a CPU than they run")] * 6,
            not_known=[self._quoting("which locks: run the probe futex")] * 6,
            measures=[
                MeasureHint(
                    source="nginx",
                    why="nginx writes how long each request took",
                    needs="rt=$request_time in its log_format",
                    snippet='[[measure]]\nname = "nginx-latency"\n'
                    'nginx = { log = "/var/log/nginx/access.log" }\ntake = "p99"\n',
                )
            ]
            * 3,
        )

    async def run_probe(self, request: ProbeRequest) -> ProbeView:
        self.asked.append(("run_probe", request))
        return ProbeView(
            kind=request.kind,
            workload=self.hidden,
            source="bcc",
            seconds=request.seconds,
            summary=[self._quoting("most waits are short")] * 3,
            histograms=[
                HistogramView(
                    title=self._quoting("waits"),
                    unit="us",
                    count=9000,
                    p50=31.0,
                    p90=480.0,
                    p99=9000.0,
                    buckets=[HistogramBucket(upper=2.0**n, count=n * 3) for n in range(30)],
                )
            ],
            tables=[
                TableView(
                    title=self._quoting("who waits"),
                    columns=["comm", self.name],
                    rows=[[self.name, float(number)] for number in range(20)],
                    left_out=7,
                )
            ],
            notes=[self._quoting("some were lost")],
        )

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        self.asked.append(("library", query))
        words = " ".join([query, *(TAGS if workload else [])])
        found = []
        for match in search(_catalog(), words) if words.strip() else ():
            manifest = match.entry.manifest
            found.append(
                SchedulerView(
                    name=match.entry.name,
                    kind=manifest.kind.value,
                    summary=manifest.summary,
                    tags=list(manifest.tags),
                    good_for=list(manifest.good_for),
                    bad_for=list(manifest.bad_for),
                    origin=manifest.origin,
                    installed=True,
                    score=match.score,
                    why=[*match.reasons, self._quoting("won on such a workload")],
                )
            )
        return found or [self._entry()]

    def _entry(self) -> SchedulerDetail:
        mine = entry("mine", ("latency-sensitive", self.name), (self.name,))
        return mine.model_copy(
            update={
                "summary": self._quoting("what it is"),
                "description": self._quoting("what it does") * 5,
                "algorithm": self._quoting("how"),
                "origin": self.name,
                "page": self.name,
                "policy": f'comm = "{self.name}" {{ latency }}',
            }
        )

    async def scheduler(self, name: str) -> SchedulerDetail:
        return self._entry()

    async def outcomes(self, scheduler: str) -> list[OutcomeView]:
        return [
            OutcomeView.model_validate(
                {
                    "scheduler": "latency",
                    "parameters": {"slice_us": 1000, "note": self.name},
                    "tags": TAGS,
                    "decision": "keep",
                    "gain": 0.2134,
                    "at": self.born,
                }
            )
        ] * 30

    async def lessons(self) -> list[LessonView]:
        text = self._quoting("preempt cost the batch jobs more than the service won")
        return [
            LessonView(text=text, episode=EPISODE, at=self.born, about="latency", tags=TAGS)
        ] * 9

    async def learned(self, workload: str, episode: str) -> LearnedView:
        belief = BeliefView(
            scheduler="latency",
            policy=f'comm = "{self.name}" {{ latency }}',
            parameters={"note": self.name},
            mean=0.2134,
            deviation=0.1,
            low=0.01,
            high=0.41,
            chance=0.93,
            observations=4,
            kept=3,
            why=[self._quoting("it won three times")] * 4,
            refused=self._quoting("tried within the hour"),
        )
        kinds = [LearnedClass(tags=TAGS, episodes=3, beliefs=[belief] * 12)]
        return LearnedView(at=self.born, workload=workload, classes=kinds)

    async def candidate(self, id: str) -> CandidateView:
        return self._checked(id, proven=False)

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        self.asked.append(("create_candidate", request))
        return self._checked(CANDIDATE, proven=True)

    def _checked(self, id: str, *, proven: bool) -> CandidateView:
        message = GateMessage(
            severity="error",
            message=self._quoting("a task was starved"),
            file=self.name,
            line=3,
            column=7,
            cause=self._quoting("it was behind others"),
            fix=self._quoting("give it a share"),
        )
        gates = [
            GateResult(gate=each, passed=passed, seconds=1.234, messages=[message] * messages)
            for each, passed, messages in (
                (Gate.COMPILE, True, 0),
                (Gate.STATIC, True, 4),
                (Gate.BUILD, True, 0),
                (Gate.SIMULATE, proven, 12),
            )
        ]
        return CandidateView(
            id=id,
            name="policy-0a1b2c3d",
            kind="policy",
            parameters={"note": self.name},
            policy=f'comm ~ "{self.name}" {{ latency }}',
            gates=gates,
            proven=proven,
            quarantined="" if proven else self._quoting("it was ejected"),
            at=self.born,
        )

    def _tried(self) -> TrialView:
        return TrialView(
            id=TRIAL,
            state=TrialState.ROLLED_BACK,
            candidate=CANDIDATE,
            scheduler="policy-0a1b2c3d",
            parameters={"slice_ns": 1_000_000},
            workload=self.hidden,
            objective=self._quoting("latency p99"),
            direction=Direction.LOWER,
            unit="us",
            episode=EPISODE,
            at=self.born,
            windows=[
                WindowView(
                    arm=Arm.CANDIDATE if number % 2 else Arm.BASELINE,
                    started=self.born,
                    ended=self.born + 5,
                    value=9000.1234 + number,
                )
                for number in range(16)
            ],
            verdict=VerdictView.model_validate(
                {
                    "decision": "rollback",
                    "ratio": 1.0421,
                    "low": 0.9312,
                    "high": 1.1731,
                    "confidence": 0.95,
                    "gain": -0.0421,
                    "reason": self._quoting("not better"),
                    "windows_baseline": 8,
                    "windows_candidate": 8,
                    "guarded": {"throughput": self._quoting("not worse")},
                }
            ),
            reason=self._quoting("no gain"),
        )

    async def trial(self, id: str) -> TrialView:
        return self.trials.get(id) or self._tried()

    async def episodes(self, last: int) -> list[EpisodeView]:
        return [await self.episode(EPISODE)] * min(last, 30)

    async def episode(self, id: str) -> EpisodeView:
        event = self.log.append(
            EventKind.WINDOW, self._quoting("window 3"), episode=id, reason=self._quoting("why")
        )
        return EpisodeView(
            id=id,
            state=EpisodeState.CLOSED,
            at=self.born,
            ended=self.born + 90,
            workload=self.hidden,
            goal=self._quoting("make it faster"),
            trigger=self._degradation(0),
            profile=ProfileView(workload=self.hidden, tags=TAGS),
            advisor="claude",
            advice=[self._quoting("try a policy")] * 5,
            candidates=[CANDIDATE] * 5,
            trials=[self._tried()] * 6,
            outcome=self._quoting("rolled back"),
            events=[event] * 40,
        )

    async def steps(self, episode: str) -> list[StepView]:
        return [
            StepView(
                number=number,
                at=time.time(),
                role=next(iter(StepRole)),
                kind=next(iter(StepKind)),
                tool="get_status",
                text=self._quoting("I look"),
            )
            for number in range(1, 60)
        ]


def served_rich(run_dir: Path, name: str = NAME) -> AbstractContextManager[ServedMachine]:
    """Such a machine behind real sockets."""
    return serving(run_dir, RichMachine(name))
