# SPDX-License-Identifier: GPL-2.0-or-later
"""The output of a probe's child, checked. Names in it are hostile text; nanoseconds throughout."""

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
    """One probe's results; the others' fields are empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    lost: Count = 0
    # runqlat: waits by their reason, and by thread name.
    after_wakeup: Buckets | None = None
    after_preemption: Buckets | None = None
    threads: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    # From a wakeup to the next sleep, by thread name: count, total time, the longest, and the waits
    # after the wakeup and after losing the CPU in it.
    responses: Buckets | None = None
    answers: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count], ...], Rows] = ()
    # offcpu: state (0: on the run queue, 1: asleep, 2: uninterruptible, …), system call, thread
    # name; the last count is of those that had not ended.
    reasons: Annotated[tuple[tuple[Count, Name, Name, Count, Count, Count, Count], ...], Rows] = ()
    # wakeups: waker, woken, waits until it ran; the last count is the number of wakeups.
    pairs: Annotated[tuple[tuple[Name, Name, Count, Count, Count, Count], ...], Rows] = ()
    # oncpu: thread name, function, module, in the kernel, samples.
    places: Annotated[tuple[tuple[Name, Function, Function, bool, Count], ...], Rows] = ()
    kernel_told: bool = True
    unread: Count = 0
    hertz: Count = 0
    # syscalls: name, and the last count are failures.
    calls: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    # futex: a thread's name, process, waiters; the last count is of waits that were over before
    # they began.
    locks: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count, Count], ...], Rows] = ()
    lengths: Buckets | None = None
    wakes: Count = 0
    # chains: the names of a path's first threads, their number, whether it was cut, chains, their
    # duration; the last count is their wait for a CPU. By the thread that began them, the same.
    paths: Annotated[tuple[tuple[Path, Count, bool, Count, Count, Count, Count], ...], Rows] = ()
    roots: Annotated[tuple[tuple[Name, Count, Count, Count, Count], ...], Rows] = ()
    chain_times: Buckets | None = None
    # How many chains have this many threads; the last entry is for as many or more.
    links: Annotated[tuple[Count, ...], Field(max_length=64)] = ()
    cut: Count = 0
    # Activations that no thread began and that woke none.
    alone: Count = 0
    # preempted-locks: a holder's name, the waits that it ended, their duration, how many of them
    # had the owner in memory; waits in which it was without a CPU, for how long, the longest.
    holders: Annotated[tuple[tuple[Name, Count, Count, Count, Count, Count, Count], ...], Rows] = ()
    lost_lengths: Buckets | None = None
    # Waits on futexes without a known holder, and their duration.
    others: tuple[Count, Count] = (0, 0)


class ProbeLine(BaseModel):
    """One line of the child."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    started: bool = False
    seconds: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 0.0
    found: ProbeFindings | None = None
