# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes: a closer look, for a while."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from daemon.api.models.base import Answer, Request, WorkloadId


class ProbeKind(StrEnum):
    """The available probes; nothing else can be run."""

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
    """One probe: the question it answers, and what it lacks here.

    `instead` says what answers part of the question without it.
    """

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
    """The calls that ended since the last such request; the first one attaches the probe, and it
    stays for `keep_s` without another one.
    """

    points: CallPoints
    keep_s: Annotated[float, Field(ge=5, le=20_000)] = 30.0


class CallsView(Answer):
    """The calls of `seconds`.

    `buckets` are 6% wide; `lost` calls were not counted for lack of room.
    """

    seconds: float
    count: int = 0
    total_us: float = 0.0
    max_us: float = 0.0
    buckets: Annotated[list[HistogramBucket], Field(max_length=700)] = Field(default_factory=list)
    lost: int = 0
    notes: list[str] = Field(default_factory=list)


class ProbeView(Answer):
    """A probe's result, in sentences, histograms and tables.

    `source` is `bcc`, or `signals` if the daemon's own figures had to stand in. `lost` events were
    not counted.
    """

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
