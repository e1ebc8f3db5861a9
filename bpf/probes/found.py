# SPDX-License-Identifier: GPL-2.0-or-later
"""What a probe's child prints, checked. Names in it are hostile text; nanoseconds throughout."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_ROWS = 2000
BUCKETS = 40

Count = Annotated[int, Field(ge=0, lt=2**64)]
# Sixteen bytes of a thread's name, each of which may need four characters.
Name = Annotated[str, Field(max_length=64)]
Function = Annotated[str, Field(max_length=4096)]
# Counts by power of two of microseconds: bucket n is from 2^(n-1) to below 2^n, bucket 1 from 0.
Buckets = Annotated[list[Count], Field(min_length=BUCKETS, max_length=BUCKETS)]
Rows = Field(default=(), max_length=MOST_ROWS)
Path = Annotated[tuple[Name, ...], Field(max_length=8)]


class ProbeFindings(BaseModel):
    """Of one probe; the others' fields are empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    lost: Count = 0
    # runqlat: waits by what came before them, and by thread name.
    after_wakeup: Buckets | None = None
    after_preemption: Buckets | None = None
    threads: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    # From a wakeup to the next sleep, by thread name: how many, how long, the longest, and what of
    # it was waited after the wakeup and after losing the CPU.
    responses: Buckets | None = None
    answers: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count], ...], Rows] = ()
    # offcpu: state (0: on the run queue, 1: asleep, 2: uninterruptible, …), system call, thread
    # name; the last count are those that still were.
    reasons: Annotated[tuple[tuple[Count, Name, Name, Count, Count, Count, Count], ...], Rows] = ()
    # wakeups: waker, woken, waits until it ran; the last count are wakeups.
    pairs: Annotated[tuple[tuple[Name, Name, Count, Count, Count, Count], ...], Rows] = ()
    # oncpu: thread name, function, module, in the kernel, samples.
    places: Annotated[tuple[tuple[Name, Function, Function, bool, Count], ...], Rows] = ()
    kernel_told: bool = True
    unread: Count = 0
    hertz: Count = 0
    # syscalls: name, and the last count are failures.
    calls: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    # futex: a thread's name, process, waiters; the last count were over before they began.
    locks: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count, Count], ...], Rows] = ()
    lengths: Buckets | None = None
    wakes: Count = 0
    # chains: the names of a path's first threads, how many it has, whether it was cut, chains, how
    # long they took; the last count is what they waited for a CPU. By who began them, the same.
    paths: Annotated[tuple[tuple[Path, Count, bool, Count, Count, Count, Count], ...], Rows] = ()
    roots: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    chain_times: Buckets | None = None
    # How many chains have so many threads; the last are those of as many or more.
    links: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    cut: Count = 0
    # Activations that began by no thread and woke none.
    alone: Count = 0
    # preempted-locks: a holder's name, the waits that it ended, how long they took, in how many
    # memory named it; waits in which it was without a CPU, for how long, the longest.
    holders: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count, Count], ...], Rows] = ()
    lost_lengths: Buckets | None = None
    # Waits on futexes of which no holder is known, and how long they took.
    others: tuple[Count, Count] = (0, 0)


class ProbeLine(BaseModel):
    """One line of the child."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    started: bool = False
    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    found: ProbeFindings | None = None
