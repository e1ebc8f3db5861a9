# SPDX-License-Identifier: GPL-2.0-only
"""Everything that crosses the border between the daemon and its clients.

Requests forbid unknown fields, so that a typing error is an answer and not a silence.
Answers ignore them, so that an older client reads a newer daemon. All durations carry
their unit in the name; delays are microseconds (`_us`), windows and leases seconds (`_s`),
points in time Unix seconds (`at`, `since`, `until`).
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

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


class EpisodeState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class EventKind(StrEnum):
    """Each is one journal record with a MESSAGE_ID of its own (see daemon/journal.py)."""

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
    EJECTED = "ejected"
    QUARANTINED = "quarantined"
    FOREIGN = "foreign-scheduler"
    ADVICE_ONLY = "advice-only"
    ADVICE = "advice"
    LESSON = "lesson"
    STATE_TROUBLE = "state-trouble"
    SIGNALS_LOST = "signals-lost"


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
    """What sysfs says, never what was meant. `state` is the kernel's own word."""

    supported: bool
    state: str = ""
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
    degraded: list["Degradation"] = Field(default_factory=list)
    objectives: list["ObjectiveView"] = Field(default_factory=list)
    quarantine: list[QuarantineView] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)


# ---------------------------------------------------------------- objectives, signals, workloads


class Direction(StrEnum):
    LOWER = "lower-is-better"
    HIGHER = "higher-is-better"


class ObjectiveView(Answer):
    """A declared objective. `text` is as written, `metric` its canonical name."""

    workload: str
    text: str
    metric: str
    direction: Direction
    limit: float | None = None
    unit: str = ""
    value: float | None = None
    broken: bool = False


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
    """One interval of one workload."""

    at: float
    delay_p50_us: float
    delay_p99_us: float
    slice_mean_us: float
    run_share: float
    wakeups_per_s: float
    involuntary_per_s: float
    migrations_per_s: float
    scheduler: str = ""


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


class ProfileView(Answer):
    """What a workload is like, from measured figures. `tags` are the words manifests use."""

    workload: str
    tags: list[str]
    figures: dict[str, float] = Field(default_factory=dict)
    sure_of: list[str] = Field(default_factory=list)


class WorkloadView(Answer):
    id: str
    last: SignalPoint | None = None
    baseline_delay_p99_us: float | None = None
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


# ---------------------------------------------------------------- candidates and gates


class CandidateRequest(Request):
    """Exactly one of `library`, `source` or `policy` (the text of a policy, `use …` included).

    `name` is for `source`; the other two bring their own. What was recorded of `workload` (else
    of the episode's) is simulated, too, where there is such a recording. `canary` asks for that
    gate also where a virtual machine would take minutes.
    """

    library: SchedulerName | None = None
    parameters: dict[str, ParameterValue] = Field(default_factory=dict, max_length=64)
    source: Annotated[str, StringConstraints(max_length=1024 * 1024)] | None = None
    policy: Annotated[str, StringConstraints(max_length=POLICY_LIMIT)] | None = None
    name: SchedulerName | None = None
    episode: RecordId | None = None
    workload: WorkloadId | None = None
    canary: bool = False


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

    `policy` is the canonical text of a policy, empty for every other kind.
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
    at: float = 0.0


# ---------------------------------------------------------------- trials


class TrialRequest(Request):
    """Compare a proven candidate with what runs now.

    `objective` is objective text (`latency p99`, `throughput`, `measurement NAME lower`);
    without it the workload's declared objective, else run-queue delay p99. With
    `fed_by_client` the windows' values come by `POST /v1/trials/ID/windows`.
    """

    candidate: RecordId
    workload: WorkloadId | None = None
    objective: Annotated[str, StringConstraints(max_length=200)] | None = None
    episode: RecordId | None = None
    window_s: Annotated[float, Field(ge=0.5, le=600)] | None = None
    max_windows: Annotated[int, Field(ge=4, le=64)] | None = None
    fed_by_client: bool = False
    keep: bool = True


class WindowValue(Request):
    """One finished window of a client-fed trial: the value, in the objective's unit."""

    value: Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WindowView(Answer):
    arm: Arm
    started: float
    ended: float
    value: float
    samples: int = 0
    guarded: dict[str, float] = Field(default_factory=dict)
    excluded: str = ""


class VerdictView(Answer):
    """`ratio` is candidate / baseline of the objective's metric; below 1 is better when lower is.

    `low` and `high` bound it with `confidence`; `gain` is positive when the candidate is better.
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


class TrialView(Answer):
    id: str
    state: TrialState
    candidate: str
    scheduler: str
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
    windows: list[WindowView] = Field(default_factory=list)
    verdict: VerdictView | None = None
    reason: str = ""


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
    text: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    episode: RecordId | None = None


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


class EpisodeView(Answer):
    id: str
    state: EpisodeState
    at: float
    ended: float = 0.0
    workload: str
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
    """What history knows of a scheduler on workloads with these tags (for advisors)."""

    scheduler: str
    parameters: dict[str, ParameterValue] = Field(default_factory=dict)
    tags: list[str]
    decision: Decision
    gain: float
    at: float


class LessonView(Answer):
    text: str
    episode: str = ""
    at: float


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
