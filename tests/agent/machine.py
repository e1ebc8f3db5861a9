# SPDX-License-Identifier: GPL-2.0-or-later
"""A fake machine behind the real API: schedulers have a known effect, and trials find it.

The command and the agent are tested with it. It speaks over real sockets, so that only the kernel
is fake.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from daemon.api.models import (
    AdviceRequest,
    ApprovalRequest,
    Arm,
    Autonomy,
    CandidateRequest,
    CandidateView,
    CloseRequest,
    Cost,
    Decision,
    Degradation,
    Direction,
    EpisodeRequest,
    EpisodeState,
    EpisodeView,
    EventKind,
    Gate,
    GateMessage,
    GateResult,
    GoalView,
    GuardView,
    HoldRequest,
    KernelView,
    LearnedView,
    LessonRequest,
    LessonView,
    LoadedScheduler,
    MeasurementRequest,
    OutcomeView,
    ParameterView,
    PendingApproval,
    ProfileView,
    ProgramKind,
    QuarantineView,
    RollbackRequest,
    SchedulerDetail,
    SchedulerView,
    SignalPoint,
    SignalsView,
    StatusView,
    TrialRequest,
    TrialState,
    TrialView,
    VerdictView,
    WindowValue,
    WindowView,
    WorkloadDetail,
    WorkloadView,
)
from daemon.decide.criteria import criteria_of
from daemon.handlers import goals
from process import Fault, FaultType
from tests.agent.beliefs import believed
from tests.api.fake import FakeService, Served

WORKLOAD = "cgroup:/system.slice/web.service"
HOSTILE = "comm:<script>alert(1)</script>\x1b[31m$\\frac{1}{0}$[bold]x"
ORDER = (Arm.BASELINE, Arm.CANDIDATE, Arm.CANDIDATE, Arm.BASELINE)
WINDOWS = 8


def entry(
    name: str,
    good_for: tuple[str, ...] = (),
    bad_for: tuple[str, ...] = (),
    *,
    installed: bool = True,
) -> SchedulerDetail:
    return SchedulerDetail(
        name=name,
        kind="bpf" if installed else "external",
        summary=f"the {name} scheduler",
        tags=[],
        good_for=list(good_for),
        bad_for=list(bad_for),
        origin="own",
        installed=installed,
        description="What it is.",
        algorithm="How it works.",
        parameters=[
            ParameterView(name="slice_us", type="int", default=3000, min=100, max=100000, unit="us")
        ],
    )


LIBRARY = (
    entry("batch", ("cpu-bound", "batch"), ("latency-sensitive", "short-bursts")),
    entry("fifo", (), ("overcommitted",)),
    entry("jobs", ("uneven-jobs",), ("latency-sensitive",)),
    entry("latency", ("latency-sensitive", "short-bursts"), ("batch",)),
    entry("lavd", ("latency-sensitive", "short-bursts", "interactive"), installed=False),
    entry("calm").model_copy(update={"kind": "policy", "policy": 'comm ~ "a*" { slice 3ms }'}),
)
# How the daemon refuses the policy `slice fase 3ms`.
BAD_POLICY = Fault(
    FaultType.BAD_POLICY,
    "'fase' is no fact",
    where="column 7",
    why="expected a time",
    hint="did you mean 'age'?",
    details=("slice fase 3ms", "      ^"),
)
LATENCY_TAGS = ["latency-sensitive", "short-bursts", "overcommitted"]


class Machine(FakeService):
    """`effect` is candidate / baseline of every measured value, by scheduler name."""

    def __init__(self, effect: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.effect = dict(effect or {})
        self.autonomy = Autonomy.AUTO
        self.loaded: LoadedScheduler | None = None
        self.quarantine: list[QuarantineView] = []
        self.candidates: dict[str, CandidateView] = {}
        self.trials: dict[str, TrialView] = {}
        self.kept_episodes: dict[str, EpisodeView] = {}
        self.known_outcomes: list[OutcomeView] = []
        self.known_lessons: list[LessonView] = []
        self.measurements: list[MeasurementRequest] = []
        self.unproven: set[str] = set()
        # While this is set, the trials that measure themselves go on; tests clear it.
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.running = ""
        self.born = time.time()
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------ reading

    async def status(self) -> StatusView:
        if self.trouble is not None:
            raise self.trouble
        return StatusView(
            version="0.1.0",
            pid=4711,
            since=self.born,
            autonomy=self.autonomy,
            kernel=KernelView(
                supported=True,
                state="enabled" if self.loaded else "disabled",
                ops=self.loaded.name if self.loaded else "",
            ),
            loaded=self.loaded,
            trial=self.running,
            approvals=[
                PendingApproval(
                    id=each.approval,
                    trial=each.id,
                    candidate=each.candidate,
                    scheduler=each.scheduler,
                    workload=each.workload,
                    objective=each.objective,
                    at=each.at,
                )
                for each in self.trials.values()
                if each.state is TrialState.AWAITING_APPROVAL
            ],
            quarantine=self.quarantine,
            degraded=[
                each.trigger
                for each in self.kept_episodes.values()
                if each.trigger and each.state is EpisodeState.OPEN
            ],
        )

    def _point(self, at: float, p99: float, scheduler: str = "") -> SignalPoint:
        return SignalPoint(
            at=at,
            delay_p50_us=p99 / 8,
            delay_p99_us=p99,
            slice_mean_us=400.0,
            run_share=0.4,
            wakeups_per_s=900.0,
            involuntary_per_s=30.0,
            migrations_per_s=20.0,
            scheduler=scheduler,
        )

    async def signals(self, workload: str, last_s: float) -> SignalsView:
        series = [
            self._point(
                self.born + second,
                300.0 if second < 40 else 9000.0 if second % 40 < 20 else 700.0,
                "latency" if second >= 40 and second % 40 >= 20 else "",
            )
            for second in range(200)
        ]
        return SignalsView(interval_s=1.0, at=self.born, workload=workload, series=series)

    async def workloads(self) -> list[WorkloadView]:
        return [
            WorkloadView(id=HOSTILE),
            WorkloadView(id="cgroup:/calm", last=self._point(self.born, 80.0)),
            WorkloadView(
                id=WORKLOAD, last=self._point(self.born, 9000.0), baseline_delay_p99_us=300.0
            ),
        ]

    async def workload(self, id: str) -> WorkloadDetail:
        return WorkloadDetail(
            id=id,
            last=self._point(self.born, 9000.0),
            baseline_delay_p99_us=300.0,
            profile=ProfileView(workload=id, tags=LATENCY_TAGS),
        )

    async def library(self, query: str, workload: str = "") -> list[SchedulerView]:
        self.asked.append(("library", query))
        words = set(query.split())
        found = [each for each in LIBRARY if not query or words & {each.name, *each.good_for}]
        return [each.model_copy(update={"score": 1.0 if query else None}) for each in found]

    async def scheduler(self, name: str) -> SchedulerDetail:
        for each in LIBRARY:
            if each.name == name:
                return each
        raise Fault(FaultType.UNKNOWN_SCHEDULER, f"there is no scheduler named {name!r}")

    async def candidate(self, id: str) -> CandidateView:
        if id not in self.candidates:
            raise Fault(FaultType.NOT_FOUND, f"there is no candidate {id!r}")
        return self.candidates[id]

    async def trial(self, id: str) -> TrialView:
        if id not in self.trials:
            raise Fault(FaultType.NOT_FOUND, f"there is no trial {id!r}")
        return self.trials[id]

    async def episodes(self, last: int) -> list[EpisodeView]:
        return [self._whole(each) for each in reversed(self.kept_episodes.values())][:last]

    async def episode(self, id: str) -> EpisodeView:
        if id not in self.kept_episodes:
            raise Fault(FaultType.NOT_FOUND, f"there is no episode {id!r}")
        return self._whole(self.kept_episodes[id])

    def _whole(self, episode: EpisodeView) -> EpisodeView:
        trials = [each for each in self.trials.values() if each.episode == episode.id]
        events = [each for each in self.log.recorded(0) if each.episode == episode.id]
        return episode.model_copy(update={"trials": trials, "events": events})

    async def outcomes(self, scheduler: str) -> list[OutcomeView]:
        return self.known_outcomes

    async def lessons(self) -> list[LessonView]:
        return self.known_lessons

    async def learned(self, workload: str, episode: str) -> LearnedView:
        now = time.time()
        class_ = believed(LIBRARY, LATENCY_TAGS, self.known_outcomes, now)
        return LearnedView(at=now, classes=[class_], lessons=self.known_lessons)

    # ------------------------------------------------------------ acting

    async def create_candidate(self, request: CandidateRequest) -> CandidateView:
        self.asked.append(("create_candidate", request))
        judged = _judged(request) if request.objective or request.guards else {}
        if request.episode and judged:
            known = self.kept_episodes[request.episode]
            self.kept_episodes[request.episode] = known.model_copy(update=judged)
        name = request.library or request.name or ("policy-0a1b2c3d" if request.policy else "own")
        if request.policy and "fase" in request.policy:
            raise BAD_POLICY
        if request.library and request.library not in {each.name for each in LIBRARY}:
            raise Fault(
                FaultType.UNKNOWN_SCHEDULER,
                f"there is no scheduler named {request.library!r} in the library",
                hint="nearest: latency",
            )
        proven = name not in self.unproven
        message = GateMessage(
            severity="error", message="unknown kfunc", file="x.bpf.c", line=3, fix="spell it right"
        )
        view = CandidateView(
            id=f"c-{len(self.candidates):04d}",
            name=name,
            kind="policy" if request.policy else "bpf",
            parameters=request.parameters,
            policy=request.policy or "",
            gates=[
                GateResult(
                    gate=Gate.BUILD,
                    passed=proven,
                    seconds=0.5,
                    messages=[] if proven else [message],
                )
            ],
            proven=proven,
            at=time.time(),
            **judged,
        )
        self.candidates[view.id] = view
        return view

    async def start_trial(self, request: TrialRequest) -> TrialView:
        self.asked.append(("start_trial", request))
        if self.running:
            raise Fault(FaultType.BUSY, "a trial is under way already")
        candidate = self.candidates[request.candidate]
        known = self.kept_episodes.get(request.episode or "")
        trial = TrialView(
            id=f"t-{len(self.trials):04d}",
            state=TrialState.RUNNING,
            candidate=candidate.id,
            scheduler=candidate.name,
            parameters=candidate.parameters,
            workload=request.workload or "",
            objective=request.objective or (known.objective if known else "") or "latency p99",
            guards=_judged(request)["guards"] or (known.guards if known else []),
            direction=Direction.LOWER,
            unit="s" if request.fed_by_client else "us",
            episode=request.episode or "",
            at=time.time(),
        )
        self.running = trial.id
        if self.autonomy is Autonomy.ASK:
            waiting = {"state": TrialState.AWAITING_APPROVAL, "approval": f"a-{trial.id}"}
            trial = trial.model_copy(update=waiting)
            self.trials[trial.id] = trial
            self._tell(EventKind.APPROVAL_WANTED, trial, "may I?")
            return trial
        return self._begin(trial, request.fed_by_client, request.max_windows or WINDOWS)

    def _begin(self, trial: TrialView, fed: bool, most: int) -> TrialView:
        self._most = most
        update = {"state": TrialState.RUNNING, "next_arm": ORDER[0] if fed else None}
        trial = trial.model_copy(update=update)
        self.trials[trial.id] = trial
        self._tell(EventKind.TRIAL_STARTED, trial, f"trial of {trial.scheduler}")
        if not fed:
            task = asyncio.get_running_loop().create_task(self._measure(trial.id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return trial

    async def _measure(self, id: str) -> None:
        """The windows of a trial that the daemon measures itself."""
        for number in range(WINDOWS):
            await self.may_go_on.wait()
            trial = self.trials[id]
            if trial.state is not TrialState.RUNNING:
                return
            arm = next(islice(cycle(ORDER), number, None))
            worse = self.effect.get(trial.scheduler, 1.0) if arm is Arm.CANDIDATE else 1.0
            self._window(trial, arm, 9000.0 * worse * (1 + number % 3 / 50))
        self._judge(id, keep=True)

    def _window(self, trial: TrialView, arm: Arm, value: float) -> TrialView:
        now = time.time()
        window = WindowView(arm=arm, started=now, ended=now, value=value)
        trial = trial.model_copy(update={"windows": [*trial.windows, window]})
        self.trials[trial.id] = trial
        self._tell(EventKind.WINDOW, trial, f"window {len(trial.windows)} ({arm.value})")
        return trial

    def _judge(self, id: str, *, keep: bool) -> None:
        trial = self.trials[id]
        means = {arm: [each.value for each in trial.windows if each.arm is arm] for arm in Arm}
        ratio = (sum(means[Arm.CANDIDATE]) / len(means[Arm.CANDIDATE])) / (
            sum(means[Arm.BASELINE]) / len(means[Arm.BASELINE])
        )
        good = ratio < 0.95
        verdict = VerdictView(
            decision=Decision.KEEP if good else Decision.ROLLBACK,
            ratio=ratio,
            low=ratio * 0.95,
            high=ratio * 1.05,
            confidence=0.95,
            gain=1 - ratio,
            reason="better with confidence" if good else "not better",
            windows_baseline=len(means[Arm.BASELINE]),
            windows_candidate=len(means[Arm.CANDIDATE]),
        )
        kept = good and keep
        self._end(id, TrialState.KEPT if kept else TrialState.ROLLED_BACK, verdict)

    def _end(self, id: str, state: TrialState, verdict: VerdictView | None, why: str = "") -> None:
        update = {
            "state": state,
            "verdict": verdict,
            "ended": time.time(),
            "next_arm": None,
            "reason": why,
        }
        trial = self.trials[id].model_copy(update=update)
        self.trials[id] = trial
        self.running = ""
        if verdict:
            self.known_outcomes.append(
                OutcomeView(
                    scheduler=trial.scheduler,
                    parameters=trial.parameters,
                    tags=LATENCY_TAGS,
                    decision=verdict.decision,
                    gain=verdict.gain,
                    at=time.time(),
                )
            )
        if state is TrialState.KEPT:
            self._load(trial.candidate, "kept")
        kind = EventKind.KEPT if state is TrialState.KEPT else EventKind.ROLLBACK
        self._tell(kind, trial, f"{trial.scheduler}: {state.value}")

    def _load(self, candidate: str, why: str) -> None:
        view = self.candidates[candidate]
        self.loaded = LoadedScheduler.model_validate(
            {
                "name": view.name,
                "candidate": candidate,
                "policy": view.policy,
                "parameters": view.parameters,
                "since": time.time(),
                "why": why,
                "lease_s": 10.0,
            }
        )

    async def feed_window(self, trial: str, request: WindowValue) -> TrialView:
        self.asked.append(("feed_window", (trial, request)))
        view = self.trials[trial]
        if view.next_arm is None:
            raise Fault(FaultType.BAD_REQUEST, f"trial {trial} does not wait for a window")
        # The command takes its own time; only the scheduler's effect is fake.
        effect = self.effect.get(view.scheduler, 1.0) if view.next_arm is Arm.CANDIDATE else 1.0
        view = self._window(view, view.next_arm, effect)
        if len(view.windows) >= self._most:
            self._judge(trial, keep=False)
        else:
            arm = next(islice(cycle(ORDER), len(view.windows), None))
            self.trials[trial] = view.model_copy(update={"next_arm": arm})
        return self.trials[trial]

    async def hold(self, request: HoldRequest) -> StatusView:
        self.asked.append(("hold", request))
        self._load(request.candidate, "operator")
        return await self.status()

    async def release(self, reason: str) -> StatusView:
        self.asked.append(("release", reason))
        self.loaded = None
        return await self.status()

    async def rollback(self, request: RollbackRequest) -> StatusView:
        self.asked.append(("rollback", request))
        if self.running:
            self._end(self.running, TrialState.ROLLED_BACK, None, request.reason)
        return await self.status()

    async def approve(self, id: str, request: ApprovalRequest) -> TrialView:
        self.asked.append(("approve", (id, request)))
        waiting = [
            each
            for each in self.trials.values()
            if each.approval == id and each.state is TrialState.AWAITING_APPROVAL
        ]
        if not waiting:
            raise Fault(FaultType.NOT_FOUND, f"nothing waits for the approval {id!r}")
        (trial,) = waiting
        if request.approve:
            return self._begin(trial, fed=False, most=WINDOWS)
        self._end(trial.id, TrialState.DECLINED, None, request.reason)
        return self.trials[trial.id]

    async def record_lesson(self, request: LessonRequest) -> LessonView:
        lesson = LessonView(text=request.text, episode=request.episode or "", at=time.time())
        self.known_lessons.append(lesson)
        return lesson

    async def record_measurement(self, request: MeasurementRequest) -> None:
        self.measurements.append(request)

    async def open_episode(self, request: EpisodeRequest) -> EpisodeView:
        episode = EpisodeView(
            id=f"e-{len(self.kept_episodes):04d}",
            state=EpisodeState.OPEN,
            at=time.time(),
            workload=request.workload,
            goal=request.goal,
            objective=request.objective or "",
            guards=[GuardView(**each.model_dump()) for each in request.guards],
            profile=ProfileView(workload=request.workload, tags=LATENCY_TAGS),
        )
        self.kept_episodes[episode.id] = episode
        self._said(EventKind.EPISODE_OPENED, f"asked for: {request.goal}", episode=episode.id)
        return episode

    async def goal(self, goal: str, workload: str) -> GoalView:
        """The goal as the daemon reads it, for the existing workloads."""
        kinds = {each.id: ProgramKind.UNKNOWN for each in await self.workloads()}
        return goals.view_of(goal, goals.understood(goal, workload, kinds, {}, ()))

    async def advise(self, episode: str, request: AdviceRequest) -> EpisodeView:
        view = self.kept_episodes[episode]
        view = view.model_copy(update={"advice": [*view.advice, request.text]})
        self.kept_episodes[episode] = view
        self._said(EventKind.ADVICE, request.text, episode=episode)
        return view

    async def close_episode(self, episode: str, request: CloseRequest) -> EpisodeView:
        update = {
            "state": EpisodeState.CLOSED,
            "ended": time.time(),
            "outcome": request.summary,
            "advisor": request.advisor,
            "cost": Cost(**request.cost.model_dump()),
        }
        self.kept_episodes[episode] = self.kept_episodes[episode].model_copy(update=update)
        self._said(EventKind.EPISODE_CLOSED, request.summary, episode=episode)
        return self.kept_episodes[episode]

    # ------------------------------------------------------------ what tests do to it

    def _tell(self, kind: EventKind, trial: TrialView, message: str) -> None:
        self.log.append(
            kind,
            message,
            trial=trial.id,
            episode=trial.episode,
            scheduler=trial.scheduler,
            workload=trial.workload,
        )

    def _said(self, kind: EventKind, message: str, *, episode: str) -> None:
        self.log.append(kind, message, episode=episode)

    def degrade(self, workload: str = WORKLOAD) -> str:
        """A degradation, and its episode."""
        id = f"e-{len(self.kept_episodes):04d}"
        trigger = Degradation(
            workload=workload,
            signal="delay_p99_us",
            since=time.time(),
            baseline=300.0,
            value=9000.0,
            ratio=30.0,
            unit="us",
            reason="run-queue delay p99 is 30 times its usual",
        )
        self.kept_episodes[id] = EpisodeView(
            id=id,
            state=EpisodeState.OPEN,
            at=time.time(),
            workload=workload,
            trigger=trigger,
            profile=ProfileView(workload=workload, tags=LATENCY_TAGS),
        )
        self._said(EventKind.DEGRADATION, trigger.reason, episode=id)
        self._said(EventKind.EPISODE_OPENED, trigger.reason, episode=id)
        return id


def _judged(request: CandidateRequest | TrialRequest) -> dict[str, Any]:
    """The criteria of a trial, read as the daemon reads them."""
    found = criteria_of(
        request.workload or WORKLOAD, asked=request.objective, guards=request.guards
    )
    guards = [GuardView(workload=each.workload, text=each.term.canonical) for each in found.guards]
    return {"objective": found.objective.canonical, "guards": guards}


class ServedMachine(Served):
    """The machine behind real sockets."""

    def __init__(self, run_dir: Path, machine: Machine) -> None:
        super().__init__(run_dir)
        self.machine = machine
        self.service = machine


def served_machine(
    run_dir: Path, effect: Mapping[str, float] | None = None
) -> AbstractContextManager[ServedMachine]:
    return serving(run_dir, Machine(effect))


@contextmanager
def serving(run_dir: Path, machine: Machine) -> Iterator[ServedMachine]:
    """This machine behind real sockets, until the end of the block."""
    served = ServedMachine(run_dir, machine)
    served.start()
    try:
        yield served
    finally:
        served.stop()
