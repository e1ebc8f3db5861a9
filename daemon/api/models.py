# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that crosses the border between the daemon and its clients.

Requests forbid unknown fields, so that a typing error is an answer and not a silence.
Answers ignore them, so that an older client reads a newer daemon. All durations carry
their unit in the name; delays are microseconds (`_us`), windows and leases seconds (`_s`),
points in time Unix seconds (`at`, `since`, `until`).
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

API_VERSION = "v1"
# The largest request body taken, bytes. A C candidate is at most 1 MiB of source.
BODY_LIMIT_BYTES = 2 * 1024 * 1024

# A workload's id as the signals program gives it: `cgroup:/path`, `comm:name` for processes of
# the root cgroup, `kthread:name`, `cgroup-id:number` for a cgroup that was gone too soon, `other`
# for what there was no account for.
WorkloadId = Annotated[
    str,
    StringConstraints(
        min_length=5, max_length=4096, pattern=r"^(cgroup:/|comm:|kthread:|cgroup-id:|other$)"
    ),
]
# A legal name of a scheduler. Whatever else stands where one is taken is a policy.
NAME_PATTERN = r"^[a-z][a-z0-9_-]{0,40}$"
SchedulerName = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
# The longest text of a policy taken, characters.
POLICY_LIMIT = 64 * 1024
# A workload's id, or a glob over ids (`cgroup:/system.slice/*`), where several may be meant.
WorkloadPattern = Annotated[
    str,
    StringConstraints(
        min_length=5,
        max_length=4096,
        pattern=r"^(cgroup:/|comm:|kthread:|cgroup-id:|other$)[^\x00-\x1f\x7f]*$",
    ),
]
# The text of an objective, as `daemon/decide/objective.py` reads it.
ObjectiveText = Annotated[str, StringConstraints(min_length=1, max_length=500)]
RecordId = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,4}-[0-9a-z]{4,32}$")]
Text = Annotated[str, StringConstraints(max_length=2000)]
ParameterValue = bool | int | float | str


class Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Autonomy(StrEnum):
    """What the daemon may do by itself; the operator's choice."""

    OBSERVE = "observe"
    ASK = "ask"
    AUTO = "auto"


class Arm(StrEnum):
    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Decision(StrEnum):
    KEEP = "keep"
    ROLLBACK = "rollback"


class Gate(StrEnum):
    """In the order in which a candidate meets them."""

    COMPILE = "compile"
    STATIC = "static"
    BUILD = "build"
    SIMULATE = "simulate"
    VERIFY = "verify"
    CANARY = "canary"


class TrialState(StrEnum):
    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    KEPT = "kept"
    ROLLED_BACK = "rolled-back"
    DECLINED = "declined"
    FAILED = "failed"
    # It could not be measured: it says nothing for or against the candidate.
    UNMEASURED = "unmeasured"


class EpisodeState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class EventKind(StrEnum):
    """Each is one journal record with a MESSAGE_ID of its own (see daemon/service/journal.py)."""

    STARTED = "started"
    STOPPING = "stopping"
    DEGRADATION = "degradation"
    RECOVERED = "recovered"
    EPISODE_OPENED = "episode-opened"
    EPISODE_CLOSED = "episode-closed"
    GATE_STARTED = "gate-started"
    GATE_PROGRESS = "gate-progress"
    GATE_PASSED = "gate-passed"
    GATE_SKIPPED = "gate-skipped"
    GATE_FAILED = "gate-failed"
    APPROVAL_WANTED = "approval-wanted"
    TRIAL_STARTED = "trial-started"
    WINDOW = "window"
    VERDICT = "verdict"
    LOADED = "loaded"
    UNLOADED = "unloaded"
    KEPT = "kept"
    SAVED = "saved"
    ROLLBACK = "rollback"
    UNMEASURED = "unmeasured"
    EJECTED = "ejected"
    QUARANTINED = "quarantined"
    FOREIGN = "foreign-scheduler"
    ADVICE_ONLY = "advice-only"
    ADVICE = "advice"
    LESSON = "lesson"
    PREPARED = "prepared"
    PREPARATION_REFUSED = "preparation-refused"
    STATE_TROUBLE = "state-trouble"
    SIGNALS_LOST = "signals-lost"


class StepRole(StrEnum):
    """What an advisor was doing; `harness` is the program around a model."""

    DECIDE = "decide"
    IMPLEMENT = "implement"
    LEARN = "learn"
    HARNESS = "harness"


class StepKind(StrEnum):
    TEXT = "text"
    TOOL_CALL = "tool-call"
    TOOL_RESULT = "tool-result"
    NOTE = "note"


class RecordingState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Event(Answer):
    """One decision or observation. `seq` rises by one with each; `workload` is hostile text."""

    seq: int
    at: float
    kind: EventKind
    message: str
    episode: str = ""
    trial: str = ""
    candidate: str = ""
    scheduler: str = ""
    workload: str = ""
    reason: str = ""
    figures: dict[str, float] = Field(default_factory=dict)


# ---------------------------------------------------------------- status


class KernelView(Answer):
    """What sysfs says, never what was meant. `state` is the kernel's own word. `tick_us` is the
    time between two timer ticks, at which slices end; 0 where the kernel's configuration is not
    there to be read."""

    supported: bool
    state: str = ""
    tick_us: float = 0.0
    ops: str = ""
    enable_seq: int = 0
    nr_rejected: int = 0


class LoadedScheduler(Answer):
    """The scheduler that the daemon holds a lease on; `why` is trial, kept or operator.

    `policy` is the text of a policy, empty for every other kind.
    """

    name: str
    candidate: str
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    since: float
    why: Literal["trial", "kept", "operator"]
    lease_s: float


class Limitation(Answer):
    """Why the daemon does less than it is configured to, and until when (0: until told)."""

    reason: str
    until: float = 0.0


class QuarantineView(Answer):
    candidate: str
    scheduler: str
    reason: str
    since: float
    until: float


class PendingApproval(Answer):
    """A trial that waits for a person; `id` is what `schedpilot approve` takes."""

    id: str
    trial: str
    candidate: str
    scheduler: str
    workload: str = ""
    objective: str = ""
    at: float


class PreparedState(StrEnum):
    """How far a scheduler is that is proven ahead. `failed`: this machine was too slow for it, or
    something that it takes is missing."""

    WAITING = "waiting"
    WORKING = "working"
    PROVEN = "proven"
    REFUSED = "refused"
    FAILED = "failed"


class PreparedView(Answer):
    """One scheduler of the library, or one line of policy, that is proven ahead."""

    name: str
    policy: str = ""
    state: PreparedState
    candidate: str = ""
    gate: str = ""
    reason: str = ""


class PreparationView(Answer):
    """What is proven ahead, before anybody needs it. `waiting_for`: why nothing is done now,
    where something is left to do; empty while it is worked on and when all is done."""

    enabled: bool
    waiting_for: str = ""
    proven: int = 0
    of: int = 0
    schedulers: list[PreparedView] = Field(default_factory=list)


class StatusView(Answer):
    version: str
    pid: int
    since: float
    autonomy: Autonomy
    advice_only: Limitation | None = None
    cooldown: Limitation | None = None
    kernel: KernelView
    loaded: LoadedScheduler | None = None
    foreign: str = ""
    trial: str = ""
    episode: str = ""
    approvals: list[PendingApproval] = Field(default_factory=list)
    degraded: list["Degradation"] = Field(default_factory=list)
    objectives: list["ObjectiveView"] = Field(default_factory=list)
    quarantine: list[QuarantineView] = Field(default_factory=list)
    preparation: PreparationView | None = None
    # How much worse than before trials let figures of everybody become (0.2: a fifth), and
    # `starved_us`, a wait for a CPU that ends a trial.
    tolerated: dict[str, float] = Field(default_factory=dict)
    notes: list[str] = Field(default_factory=list)


# ---------------------------------------------------------------- objectives, signals, workloads


class Direction(StrEnum):
    LOWER = "lower-is-better"
    HIGHER = "higher-is-better"


class ObjectiveView(Answer):
    """A declared objective. `text` is as written, `metric` its canonical name. `warning` says why
    it may not show what is wanted, where something speaks against it."""

    workload: str
    text: str
    metric: str
    direction: Direction
    limit: float | None = None
    unit: str = ""
    value: float | None = None
    broken: bool = False
    warning: str = ""


# Guards beside one objective.
MOST_GUARDS = 16


class GuardRequest(Request):
    """Another workload that may not pay for the objective: an id, or a glob over ids, and what of
    it is guarded (`completions not worse than 20%`)."""

    workload: WorkloadPattern
    text: ObjectiveText


class GuardView(Answer):
    """What became of one guard. `baseline` and `candidate` are medians of the windows, in `unit`;
    `ratio` is candidate / baseline, within `low` and `high`; None where there is nothing to
    compare. `said` has it in words. Hostile text: `workload`.

    held: not worse than it may be. broken: worse, for certain. unclear: the windows do not tell.
    unseen: not measured yet, or nothing was seen of it.
    """

    workload: str
    text: str
    unit: str = ""
    baseline: float | None = None
    candidate: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    state: Literal["held", "broken", "unclear", "unseen"] = "unseen"
    said: str = ""


class Degradation(Answer):
    """A workload served worse than its baseline, or an objective that is broken."""

    workload: str
    signal: str
    since: float
    baseline: float
    value: float
    ratio: float
    unit: str
    reason: str
    objective: str = ""


class SignalPoint(Answer):
    """One interval of one workload.

    `response_…` is from a thread's wakeup to its next sleep, `completions_per_s` how many of those
    ended, `burst_…` their CPU time (half of it is in bursts of `burst_half_us` or more); the shares
    are the parts of their time that passed waiting after the wakeup and after losing the CPU.
    """

    at: float
    delay_p50_us: float
    delay_p99_us: float
    slice_mean_us: float
    run_share: float
    wakeups_per_s: float
    involuntary_per_s: float
    migrations_per_s: float
    scheduler: str = ""
    response_p50_us: float = 0.0
    response_p99_us: float = 0.0
    completions_per_s: float = 0.0
    burst_mean_us: float = 0.0
    burst_p50_us: float = 0.0
    burst_half_us: float = 0.0
    waiting_share: float = 0.0
    preempted_share: float = 0.0


class SignalsView(Answer):
    """The newest interval as the signals program gave it; a series where a workload is named."""

    interval_s: float
    at: float
    line: dict[str, object] | None = None
    workload: str = ""
    series: list[SignalPoint] = Field(default_factory=list)


class ProcessView(Answer):
    """Hostile text, cut to sane lengths and escaped for display."""

    pid: int
    name: str
    command: str
    threads: int
    user: str


class PurposeView(Answer):
    """What counts for a workload, and what says so: `declared` by the operator, the `program`, how
    it behaves when it gets its CPU time (`calm`), or how it behaves `now`, starved as it may be.
    `why` is a sentence that may quote hostile text."""

    purpose: Literal["latency", "throughput", "makespan"]
    by: Literal["declared", "program", "calm", "now"]
    certainty: Literal["sure", "likely", "guess"]
    why: str


class SplitView(Answer):
    """What response time is made of, as parts of its mean: on a CPU, waiting for one after the
    wakeup, and waiting for one after losing it."""

    running: float
    waiting: float
    preempted: float


class Responses(Answer):
    """How long a workload's threads take from a wakeup to their next sleep; all None where the
    signals tell only of stays on a CPU, or where none slept.

    `bound`: the part of their mean response that scheduling them at once and without interruption
    would leave. `runs_to_completion`: they sleep only at the end of long bursts, if they are let.
    """

    split: SplitView | None = None
    bound: float | None = None
    runs_to_completion: bool | None = None
    response_p50_us: float | None = None
    response_p99_us: float | None = None
    completions_per_s: float | None = None
    burst_p50_us: float | None = None


class ProfileView(Responses):
    """What a workload is like. `tags` are the words manifests use; those that are `doubtful` count
    for less. `purposes`: what counts for it, the strongest evidence first."""

    workload: str
    tags: list[str]
    doubtful: list[str] = Field(default_factory=list)
    purposes: list[PurposeView] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    sure_of: list[str] = Field(default_factory=list)


class WorkloadView(Answer):
    id: str
    last: SignalPoint | None = None
    baseline_delay_p99_us: float | None = None
    baseline_response_p99_us: float | None = None
    degraded: Degradation | None = None
    tags: list[str] = Field(default_factory=list)


class WorkloadDetail(WorkloadView):
    profile: ProfileView
    processes: list[ProcessView] = Field(default_factory=list)


# ---------------------------------------------------------------- library


class ParameterView(Answer):
    name: str
    type: str
    default: ParameterValue
    min: float | None = None
    max: float | None = None
    unit: str = ""
    description: str = ""
    when: str = "load"


class SchedulerView(Answer):
    name: str
    kind: Literal["bpf", "policy", "external"]
    summary: str
    tags: list[str]
    good_for: list[str]
    bad_for: list[str]
    origin: str
    installed: bool
    score: float | None = None
    why: list[str] = Field(default_factory=list)


class SchedulerDetail(SchedulerView):
    description: str
    algorithm: str
    parameters: list[ParameterView] = Field(default_factory=list)
    page: str = ""
    license: str = ""
    parent: str = ""
    # The text of a policy, as it is written; empty for every other kind.
    policy: str = ""
    # Of an installed program: its version, and what keeps it from being used here.
    version: str = ""
    note: str = ""


# ---------------------------------------------------------------- candidates and gates


class CandidateRequest(Request):
    """Exactly one of `library`, `source` or `policy` (the text of a policy, `use …` included).

    `name` is for `source`; the other two bring their own. What was recorded of `workload` (else
    of the episode's) is simulated, too, where there is such a recording. `canary` asks for that
    gate also where a virtual machine would take minutes. The stress set is run on machines of
    `cpus`, too. `objective` and `guards` are what a trial of it would be judged by.
    """

    library: SchedulerName | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict, max_length=64)
    source: Annotated[str, StringConstraints(max_length=1024 * 1024)] | None = None
    policy: Annotated[str, StringConstraints(max_length=POLICY_LIMIT)] | None = None
    name: SchedulerName | None = None
    episode: RecordId | None = None
    workload: WorkloadId | None = None
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)
    canary: bool = False
    cpus: list[Annotated[int, Field(ge=1, le=256)]] = Field(default_factory=list, max_length=8)


class GateMessage(Answer):
    severity: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    cause: str = ""
    fix: str = ""


class GateResult(Answer):
    """What one gate said.

    `skipped` says why the gate was not run; `passed` is then whether a candidate may go on
    without it. `reused`: the answer is an earlier one, to the same question.
    """

    gate: Gate
    passed: bool
    seconds: float
    skipped: str = ""
    reused: bool = False
    messages: list[GateMessage] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)


class CandidateView(Answer):
    """Immutable but for the gates it has met. `proven`: it may be loaded, for every gate passed or
    was skipped where that is allowed.

    `policy` is the canonical text of a policy, empty for every other kind. `warnings` say what
    speaks against trying it on the workload that it was asked for. `objective` and `guards` are in
    the answer to the request that gave some: by what a trial of it is judged, as that was read.
    """

    id: str
    name: str
    kind: Literal["bpf", "policy", "external"]
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    source_sha256: str = ""
    policy: str = ""
    gates: list[GateResult] = Field(default_factory=list)
    proven: bool = False
    quarantined: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    warnings: list[str] = Field(default_factory=list)
    at: float = 0.0


# ---------------------------------------------------------------- trials


class TrialRequest(Request):
    """Compare a proven candidate with what runs now.

    `objective` is objective text (`response p99; completions not worse than 5%`, `makespan`,
    `measurement NAME lower`); without it that of the episode, else the workload's declared one,
    else the one that suits its kind. `guards` are for other workloads; without any those of the
    episode hold. With `fed_by_client` the windows' values come by `POST /v1/trials/ID/windows`.
    """

    candidate: RecordId
    workload: WorkloadId | None = None
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)
    episode: RecordId | None = None
    window_s: Annotated[float, Field(ge=0.5, le=600)] | None = None
    max_windows: Annotated[int, Field(ge=4, le=64)] | None = None
    fed_by_client: bool = False
    keep: bool = True


class WindowValue(Request):
    """One finished window of a client-fed trial: the value, in the objective's unit."""

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WindowView(Answer):
    """One window. `disturbed`: it is excluded since the host, and not a scheduler, spoiled it.

    `late_s`: by how much intervals of the signals lasted longer than asked for, where much.
    `value` is that of the objective's first term; `figures` holds each term's value by its title,
    and each guard's by `WORKLOAD: TITLE`. `stand_in` names the figure that was taken where one of
    the objective's is not known. `longest_comm`: who waited longest, as hostile text.
    `stay_us`: how long a stay on a CPU of the workload's tasks lasted, on average: the slice that
    they really got.
    """

    arm: Arm
    started: float
    ended: float
    value: float
    samples: int = 0
    guarded: dict[str, float] = Field(default_factory=dict)
    figures: dict[str, float] = Field(default_factory=dict)
    stand_in: str = ""
    longest_comm: str = ""
    longest_workload: str = ""
    stay_us: float = 0.0
    excluded: str = ""
    disturbed: bool = False
    late_s: float = 0.0


class ComparedView(Answer):
    """One figure under both arms. `baseline` and `candidate` are the least and the most of their
    windows, in `unit`; `ratio` is candidate / baseline, within `low` and `high`. `said` has it in
    words, with ranges. `name` may quote hostile text.

    unclear: what differs may be noise. unseen: too little was seen to compare.
    """

    name: str
    unit: str = ""
    baseline: tuple[float, float] | None = None
    candidate: tuple[float, float] | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    state: Literal["better", "worse", "unclear", "unseen"] = "unseen"
    said: str = ""


class VerdictView(Answer):
    """`ratio` is candidate / baseline of the objective's metric; below 1 is better when lower is.

    `low` and `high` bound it with `confidence`; `gain` is positive when the candidate is better.
    With confidence 0 nothing was compared. `compared` has every term of the objective, then the
    guards of other workloads.
    """

    decision: Decision
    ratio: float
    low: float
    high: float
    confidence: float
    gain: float
    reason: str
    early: bool = False
    windows_baseline: int
    windows_candidate: int
    guarded: dict[str, str] = Field(default_factory=dict)
    compared: list[ComparedView] = Field(default_factory=list)


class TrialView(Answer):
    """`warnings` are in the answer to the request that started it: what speaks against trying this
    for this objective. `policy` is the text of a policy, empty for every other kind."""

    id: str
    state: TrialState
    candidate: str
    scheduler: str
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    workload: str = ""
    objective: str
    direction: Direction
    unit: str
    episode: str = ""
    at: float
    ended: float = 0.0
    approval: str = ""
    next_arm: Arm | None = None
    guards: list[GuardView] = Field(default_factory=list)
    windows: list[WindowView] = Field(default_factory=list)
    verdict: VerdictView | None = None
    reason: str = ""
    warnings: list[str] = Field(default_factory=list)


class HoldRequest(Request):
    """Load a proven candidate and keep it until told otherwise: the operator's own word."""

    candidate: RecordId


class ParametersRequest(Request):
    """Live parameters of the loaded scheduler, and entries of its maps (u32 key → u64 value)."""

    parameters: dict[str, ParameterValue] = Field(default_factory=dict, max_length=64)
    maps: dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,31}$")],
        dict[
            Annotated[str, StringConstraints(pattern=r"^[0-9]{1,10}$")],
            Annotated[int, Field(ge=0, lt=2**64)],
        ],
    ] = Field(default_factory=dict, max_length=8)


class RollbackRequest(Request):
    reason: Text = "asked for by the operator"


class ApprovalRequest(Request):
    approve: bool
    reason: Text = ""


class LessonRequest(Request):
    """One line. `trial` (else the last one of the episode) is its evidence."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    episode: RecordId | None = None
    trial: RecordId | None = None


class MeasurementRequest(Request):
    """A number an unprivileged process measured (an application, or the agent's objective poll)."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,60}$")]
    value: Annotated[float, Field(allow_inf_nan=False)]
    unit: Annotated[str, StringConstraints(max_length=16)] = ""
    started: float | None = None


# ---------------------------------------------------------------- episodes


class Cost(Answer):
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    money: float = 0.0
    seconds: float = 0.0


class CostReport(Request):
    calls: Annotated[int, Field(ge=0)] = 0
    input_tokens: Annotated[int, Field(ge=0)] = 0
    output_tokens: Annotated[int, Field(ge=0)] = 0
    money: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


class CloseRequest(Request):
    """An advisor is done with an episode, and says what came of it."""

    summary: Text
    advisor: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
    cost: CostReport = CostReport()


class AdviceRequest(Request):
    """What an advisor would do, recorded where it may not (or need not) act."""

    text: Text
    candidate: RecordId | None = None


# The goal of who gave no words: what suits the kind of workload is wanted.
ANY_GOAL = "serve this workload better"


class EpisodeRequest(Request):
    """A person wants a workload served better; `goal` says how, in words. `objective` and `guards`
    say it so that it can be measured."""

    workload: WorkloadId
    goal: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    objective: ObjectiveText | None = None
    guards: list[GuardRequest] = Field(default_factory=list, max_length=MOST_GUARDS)


class GoalReading(Answer):
    """One way to read a goal; `said` has it in words. `workload` where it is about another one."""

    objective: str
    said: str
    workload: str = ""


class GoalView(Answer):
    """What a goal in words means here, before anything is begun. With a `question` it does not say
    enough; `readings` are answers to it. `notes` are what a person should know of how it was read.
    Hostile text: ids and names that are quoted."""

    goal: str
    workload: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    question: str = ""
    readings: list[GoalReading] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


class StepRequest(Request):
    """One line of an episode's transcript. `tokens` is what a model's reply cost, in and out."""

    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    role: StepRole
    kind: StepKind
    tool: Annotated[str, StringConstraints(max_length=64)] = ""
    text: Annotated[str, StringConstraints(max_length=4000)] = ""
    tokens: Annotated[int, Field(ge=0, lt=2**31)] = 0


class StepView(Answer):
    """As it was recorded; `number` counts from 1. What it says is hostile text."""

    number: int
    at: float
    role: StepRole
    kind: StepKind
    tool: str = ""
    text: str = ""
    tokens: int = 0


class EpisodeView(Answer):
    """`goal` is what a person asked for, where a person opened it; `question` is what has to be
    asked of that person. `objective` and `guards` are what its trials are judged by; `warnings` say
    what speaks against that."""

    id: str
    state: EpisodeState
    at: float
    ended: float = 0.0
    workload: str
    goal: str = ""
    objective: str = ""
    guards: list[GuardView] = Field(default_factory=list)
    question: str = ""
    warnings: list[str] = Field(default_factory=list)
    trigger: Degradation | None = None
    profile: ProfileView | None = None
    advisor: str = ""
    advice: list[str] = Field(default_factory=list)
    candidates: list[str] = Field(default_factory=list)
    trials: list[TrialView] = Field(default_factory=list)
    outcome: str = ""
    cost: Cost = Cost()
    events: list[Event] = Field(default_factory=list)


class OutcomeView(Answer):
    """What history knows of a scheduler on workloads with these tags (for advisors). `objective`:
    what it was judged by; `low` and `high` bound the gain, equal where nothing was compared."""

    scheduler: str
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    tags: list[str]
    decision: Decision
    gain: float
    at: float
    objective: str = ""
    low: float | None = None
    high: float | None = None


class EvidenceView(Answer):
    """One thing that speaks for or against a lesson; `said` has the figures."""

    at: float
    episode: str = ""
    trial: str = ""
    said: str = ""


class LessonView(Answer):
    """One line that was learned, by an advisor or by the operator (`author`); hostile text.

    `about` is the scheduler that it is about, with the tags of the workloads, where that is
    known; `policy` is its text, with the names left out, and `objective` what it was judged by.
    `confirmed` and `contradicted` count what was measured since; `weakened` says that the second
    are as many as the first. `weight` is below 1 where it was judged by run-queue delay.
    """

    text: str
    episode: str = ""
    at: float
    author: str = "advisor"
    about: str = ""
    tags: list[str] = Field(default_factory=list)
    confirmed: int = 0
    contradicted: int = 0
    weakened: bool = False
    policy: str = ""
    objective: str = ""
    weight: float = 1.0
    evidence: list[EvidenceView] = Field(default_factory=list)


class BeliefView(Answer):
    """What is believed of one scheduler (or policy) on such a workload, before it is tried.

    `mean` is the expected gain (0.25: a quarter better), `low` to `high` hold it with 95 %,
    `chance` is the probability that there is any. `observations` are verdicts and failures that
    count here, `weight` what they count for together, `kept` how many of them were keeps.
    `parameters` are those that it would be tried with; `policy` is the text of a policy that is
    not in the library. `refused` says why it cannot be tried now, `warned` why nobody should by an
    idea of their own: its page calls it bad for what counts here, and nothing measured says
    otherwise.
    """

    scheduler: str
    kind: Literal["bpf", "policy", "external"] = "bpf"
    policy: str = ""
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    prior: float = 0.0
    mean: float
    deviation: float
    low: float
    high: float
    chance: float
    observations: int = 0
    kept: int = 0
    failures: int = 0
    weight: float = 0.0
    why: list[str] = Field(default_factory=list)
    refused: str = ""
    warned: str = ""


class LearnedClass(Answer):
    """What is believed for workloads of one kind; best first. `episodes`: how often it was met."""

    tags: list[str]
    episodes: int = 0
    beliefs: list[BeliefView] = Field(default_factory=list)


class RememberedFailure(Answer):
    """A gate that stopped a scheduler, or the kernel that threw it out.

    `weight` is what is left of it: it ages. `until` it is (or was) not to be loaded.
    """

    scheduler: str
    kind: Literal["gate", "quarantine"]
    reason: str
    at: float
    weight: float
    until: float = 0.0


class WeightView(Answer):
    """What one kind of evidence counts for in a search, and what moved it there last."""

    name: str
    weight: float
    prior: float
    moved: int = 0
    why: str = ""


class LearnedView(Answer):
    """What was learned, and why it is believed.

    With an episode or a workload there is one class, that of this workload; else one for each
    kind of workload that was met.
    """

    at: float
    workload: str = ""
    classes: list[LearnedClass] = Field(default_factory=list)
    weights: list[WeightView] = Field(default_factory=list)
    lessons: list[LessonView] = Field(default_factory=list)
    failures: list[RememberedFailure] = Field(default_factory=list)
    lessons_file: str = ""


class Problem(Answer):
    """RFC 9457 problem details; `type` is `urn:schedpilot:fault:NAME` with a stable NAME.

    `detail` is the fault's `what`; `where`, `why`, `hint` and `lines` are its other parts.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    where: str = ""
    why: str = ""
    hint: str = ""
    lines: list[str] = Field(default_factory=list)


StatusView.model_rebuild()


# ---------------------------------------------------------------- recordings


class RecordingRequest(Request):
    """What the machine does, to be simulated; without `workload` all of it."""

    seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    workload: WorkloadId | None = None
    most_bytes: Annotated[int, Field(ge=4096, le=1 << 28)] = 64 << 20


class RecordingView(Answer):
    """A recording, running or kept. `workloads` are those in it, hostile text.

    `lost` events found no room, `left_out` tasks were too many; `cut` names the bound that ended
    it early, or `stopped`. `reason` says why one failed.
    """

    id: str
    state: RecordingState
    workload: str = ""
    began: float
    wanted_s: float
    seconds: float = 0.0
    records: int = 0
    tasks: int = 0
    bytes: int = 0
    lost: int = 0
    left_out: int = 0
    cut: str = ""
    reason: str = ""
    workloads: list[str] = Field(default_factory=list)


# ---------------------------------------------------------------- understanding a workload


class ProgramKind(StrEnum):
    """What a program is for, as far as scheduling it goes."""

    BUILD = "build"
    TEST_SUITE = "test-suite"
    DATABASE = "database"
    CACHE = "cache"
    WEB_SERVER = "web-server"
    PROXY = "proxy"
    BROKER = "message-broker"
    ENCODER = "encoder"
    COMPRESSION = "compression"
    ML_TRAINING = "ml-training"
    ML_INFERENCE = "ml-inference"
    INTERACTIVE = "interactive"
    AUDIO = "audio"
    GAME = "game"
    BATCH = "batch"
    LOAD_GENERATOR = "load-generator"
    CONTAINER_RUNTIME = "container-runtime"
    VIRTUAL_MACHINE = "virtual-machine"
    LANGUAGE_RUNTIME = "language-runtime"
    SYSTEM_SERVICE = "system-service"
    KERNEL = "kernel"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """`sure`: the program says so itself; `likely`: its name or arguments do; `guess`: its company
    or its behaviour does."""

    SURE = "sure"
    LIKELY = "likely"
    GUESS = "guess"


class KindView(Answer):
    """What the processes with `share` (0 to 1) of the workload's CPU time are, and why we think so.
    `evidence` quotes hostile text."""

    kind: ProgramKind
    certainty: Certainty
    share: float = 0.0
    evidence: list[str] = Field(default_factory=list)


class ProcessNode(Answer):
    """One process of the tree. `parent` is 0 where that is no part of the workload; `command` is
    cut, and what looks like a secret in it is left out. Hostile text, escaped for display."""

    pid: int
    parent: int = 0
    depth: int = 0
    name: str
    command: str = ""
    user: str = ""
    threads: int = 1
    cpu_share: float = 0.0
    kind: ProgramKind = ProgramKind.UNKNOWN


class ThreadGroup(Answer):
    """Threads of one name. Shares are of one CPU for each thread (0 to 1): on a CPU, and waiting
    for one; rates are for each second of all of them together. `run_us` is their mean time on a CPU
    at once; `burst_us` their CPU time from one sleep to the next and `response_us` that with all
    waits for a CPU, None where none of them slept."""

    name: str
    threads: int
    run_share: float = 0.0
    wait_share: float = 0.0
    sleeps_per_s: float = 0.0
    preemptions_per_s: float = 0.0
    run_us: float = 0.0
    burst_us: float | None = None
    response_us: float | None = None
    pattern: str = ""


class Parallelism(Answer):
    """How many of its threads want a CPU at once: `running_mean` are on one, `waiting_mean` wait
    for one, `most` is the largest sum seen. `looks` moments were looked at."""

    running_mean: float = 0.0
    waiting_mean: float = 0.0
    most: int = 0
    looks: int = 0


class WaitsView(Answer):
    """What its threads wait for, as shares (0 to 1) of their time; None where it is not known.
    `asleep_in` counts threads by the place in the kernel they sleep in, by class."""

    runqueue_share: float | None = None
    io_share: float | None = None
    sleep_share: float | None = None
    lock_share: float | None = None
    asleep_in: dict[str, int] = Field(default_factory=dict)
    read_bytes_per_s: float | None = None
    written_bytes_per_s: float | None = None


class DelayView(Answer):
    """How long its tasks waited on a run queue, microseconds, over the last `seconds`."""

    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    count: int
    seconds: float


class PressureView(Answer):
    """Share of time (per cent, ten-second average) in which some task waited for it; of the
    workload's own cgroup or of the whole machine."""

    scope: Literal["workload", "machine"]
    cpu: float | None = None
    io: float | None = None
    memory: float | None = None


class LimitsView(Answer):
    """What its cgroup grants it. `cpus` is the quota in CPUs, None without one; `throttled_share`
    the share of quota periods in which it was used up, since the cgroup was made."""

    cpus: float | None = None
    weight: int | None = None
    throttled_share: float | None = None
    allowed_cpus: str = ""


class CountersView(Answer):
    """Hardware counters of the whole machine in the last interval."""

    instructions_per_cycle: float | None = None
    cache_misses_per_1000: float | None = None


class MeasureHint(Answer):
    """One of the application's own numbers that could be measured: `snippet` is for `agent.toml`,
    after a look at it; `needs` says what has to be done besides."""

    source: str
    why: str
    snippet: str
    needs: str = ""


class WorkloadProfileView(Responses):
    """What one workload is, does and waits for, from /proc, its cgroup and the signals. Bounded in
    time and size; what was not looked at is counted. Everything that has a name is hostile text."""

    workload: str
    at: float
    took_ms: float = 0.0
    cgroup: str = ""
    unit: str = ""
    started_by: list[str] = Field(default_factory=list)
    tags: list[str] = Field(default_factory=list)
    purposes: list[PurposeView] = Field(default_factory=list)
    figures: dict[str, float] = Field(default_factory=dict)
    kinds: list[KindView] = Field(default_factory=list)
    processes: list[ProcessNode] = Field(default_factory=list)
    processes_total: int = 0
    threads: list[ThreadGroup] = Field(default_factory=list)
    threads_total: int = 0
    threads_looked_at: int = 0
    parallelism: Parallelism = Parallelism()
    waits: WaitsView = WaitsView()
    delay: DelayView | None = None
    pressure: list[PressureView] = Field(default_factory=list)
    limits: LimitsView | None = None
    counters: CountersView | None = None
    counters_note: str = ""
    sure_of: list[str] = Field(default_factory=list)
    not_known: list[str] = Field(default_factory=list)
    measures: Annotated[list[MeasureHint], Field(max_length=3)] = Field(default_factory=list)


# ---------------------------------------------------------------- probes


class ProbeKind(StrEnum):
    """The probes there are; nothing else can be run."""

    RUNQLAT = "runqlat"
    OFFCPU = "offcpu"
    WAKEUPS = "wakeups"
    ONCPU = "oncpu"
    SYSCALLS = "syscalls"
    FUTEX = "futex"
    UPROBE = "uprobe"
    CHAINS = "chains"
    PREEMPTED_LOCKS = "preempted-locks"


class ProbeKindView(Answer):
    """One probe: the question it answers, and what it lacks here. `instead` says what answers a
    part of the question without it."""

    kind: ProbeKind
    question: str
    available: bool
    missing: list[str] = Field(default_factory=list)
    instead: str = ""


# A function of a program as linkers name it, or `provider:name` of a marker.
ProbePoint = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_.$@][A-Za-z0-9_.$@]{0,199}(:[A-Za-z0-9_]{1,100})?$")
]


class CallPoints(Request):
    """Calls of a program's own functions, each in one thread: from the entry of `enter` to the
    return of `exit`. With `markers` both are USDT probes, `provider:name`."""

    binary: Annotated[str, StringConstraints(min_length=2, max_length=4096, pattern=r"^/[^\x00]*$")]
    enter: ProbePoint
    exit: ProbePoint
    markers: bool = False

    @model_validator(mode="after")
    def _named_as_they_are(self) -> Self:
        if any((":" in each) != self.markers for each in (self.enter, self.exit)):
            raise ValueError("markers are named `provider:name`, functions have no colon")
        return self


class ProbeRequest(Request):
    """Look closer, for a while; without `workload` at the whole machine. `uprobe` looks at the
    calls of `points`, in all processes of that program."""

    kind: ProbeKind
    workload: WorkloadId | None = None
    seconds: Annotated[int, Field(ge=1, le=30)] = 5
    points: CallPoints | None = None

    @model_validator(mode="after")
    def _points_of_a_uprobe(self) -> Self:
        if (self.kind is ProbeKind.UPROBE) != (self.points is not None):
            raise ValueError("`points` goes with the kind uprobe, and with no other")
        if self.points is not None and self.workload is not None:
            raise ValueError("a uprobe looks at all processes of its program: leave `workload` out")
        return self


class HistogramBucket(Answer):
    """`count` samples above the edge before and up to `upper`."""

    upper: float
    count: int


class HistogramView(Answer):
    title: str
    unit: str
    count: int
    p50: float
    p90: float
    p99: float
    buckets: Annotated[list[HistogramBucket], Field(max_length=64)] = Field(default_factory=list)


class TableView(Answer):
    """The largest rows, first; `left_out` more were counted. Names in cells are hostile text."""

    title: str
    columns: list[str]
    rows: Annotated[list[list[str | float]], Field(max_length=20)] = Field(default_factory=list)
    left_out: int = 0


class CallsRequest(Request):
    """The calls that ended since the last such request; the first one puts the probe in place, and
    it goes on for `keep_s` without a further one."""

    points: CallPoints
    keep_s: Annotated[float, Field(ge=5, le=20_000)] = 30.0


class CallsView(Answer):
    """The calls of `seconds`. `buckets` are 6% wide; `lost` calls found no room."""

    seconds: float
    count: int = 0
    total_us: float = 0.0
    max_us: float = 0.0
    buckets: Annotated[list[HistogramBucket], Field(max_length=700)] = Field(default_factory=list)
    lost: int = 0
    notes: list[str] = Field(default_factory=list)


class ProbeView(Answer):
    """What a probe saw, in sentences, histograms and tables. `source` is `bcc`, or `signals` where
    the daemon's own figures had to stand in. `lost` events were not counted."""

    kind: ProbeKind
    workload: str = ""
    source: Literal["bcc", "signals"]
    seconds: float
    took_s: float = 0.0
    summary: list[str] = Field(default_factory=list)
    histograms: list[HistogramView] = Field(default_factory=list)
    tables: list[TableView] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    lost: int = 0
