# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines of `schedpilot-runner`, one model for each event.

Strings may contain anything that a task's name can: they are data to show, never instructions.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from process import Fault, FaultType, first_problem

# SCX_EXIT_UNREG (enum scx_exit_kind, kernel/sched/ext/internal.h of 7.2): unloaded by userspace.
UNREGISTERED_KIND = 64


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ExitRecord(_Line):
    """Why the kernel ended a scheduler; `kind` 0 if it left no record."""

    kind: int = 0
    kind_name: str = "none"
    code: int = 0
    restart: bool = False
    hotplug: bool = False
    user_code: int = 0
    reason: str = ""
    message: str = ""
    dump: str = ""

    @property
    def by_request(self) -> bool:
        """Unloaded from userspace, not by the kernel and not by itself."""
        return self.kind == UNREGISTERED_KIND

    def explain(self) -> str:
        """One sentence: the kernel's reason, and the scheduler's own message."""
        if not self.kind:
            return "the scheduler left no record of the reason"
        text = self.reason or self.kind_name
        if self.message:
            text += f": {self.message}"
        if self.hotplug:
            text += " (CPUs came or went)"
        return text


class Verified(_Line):
    """The kernel's verifier accepted every program; nothing is attached."""

    event: Literal["verified"]
    ops: str
    load_ms: int


class Attached(_Line):
    """The kernel confirms that the scheduler is enabled.

    `warning` says what the runner could not get: real-time priority, locked memory.
    """

    event: Literal["attached"]
    ops: str
    enable_seq: int
    enable_ms: int
    warning: str = ""


class Stats(_Line):
    """Counters since the enabling: `events` are the kernel's, `counters` the scheduler's own."""

    event: Literal["stats"]
    monotonic_ms: int
    state: str
    nr_rejected: int = -1
    events: dict[str, int] = Field(default_factory=dict)
    counters: list[int] = Field(default_factory=list)


class Done(_Line):
    """A command was executed."""

    event: Literal["set", "put", "del"]
    name: str


class Refused(_Line):
    """A command was not executed; the scheduler runs on unchanged."""

    event: Literal["refused"]
    command: str
    name: str
    errno: int = 0
    why: str


class Exited(ExitRecord):
    """The kernel, or the scheduler itself, ended it."""

    event: Literal["exited"]
    ops: str


class Detached(_Line):
    """We ended it: the lease ran out, a command came, the owner went, or a signal came."""

    event: Literal["detached"]
    ops: str
    why: Literal["lease", "request", "stdin-closed", "signal"]
    state: str
    disable_ms: int


class Failed(_Line):
    """It was never enabled. `log` is libbpf's and the verifier's, head and tail."""

    event: Literal["failed"]
    ops: str = ""
    stage: Literal["open", "set", "load", "attach", "enable"]
    errno: int = 0
    error: str = ""
    message: str
    cause: str
    hint: str
    log: str = ""
    exit: ExitRecord | None = None


class Variable(_Line):
    """A global variable of the scheduler. `size` in bytes; no default if it is not a number."""

    name: str
    type: str
    size: int
    default: bool | int | None = None


class Map(_Line):
    """A map of the scheduler that userspace may fill."""

    name: str
    type: str
    key_bytes: int
    value_bytes: int
    max_entries: int


class Described(_Line):
    """The content of an object, read without the kernel."""

    event: Literal["described"]
    ops: str
    constants: list[Variable]
    live: list[Variable]
    maps: list[Map]


RunnerLine = Annotated[
    Verified | Attached | Stats | Done | Refused | Exited | Detached | Failed | Described,
    Field(discriminator="event"),
]
_ADAPTER: TypeAdapter[RunnerLine] = TypeAdapter(RunnerLine)


def parse_line(raw: bytes) -> RunnerLine:
    """One line of the runner.

    Raises:
        Fault: CHILD_FAILED if it is not one of the runner's.
    """
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the runner printed something outside its protocol",
            why=first_problem(error),
            hint="the installed helper and this program may be of different versions",
            details=(repr(raw[:200]),),
        ) from None
