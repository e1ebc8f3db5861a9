# SPDX-License-Identifier: GPL-2.0-or-later
"""How the kernel half derives activations: its own C, built natively, on a kernel with known
events."""

import ctypes
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from tests.signals.native import DEAD, INTERRUPTIBLE, STOPPED, Duration, Kernel

# Nanoseconds; waits may be zero.
times = st.integers(1_000, 10_000_000_000)
waits = st.integers(0, 10_000_000_000)


@dataclass(frozen=True)
class Stay:
    """A wait (between two waits it moves to another CPU), then a time on a CPU."""

    waits: tuple[int, ...]
    run: int
    # Not for the last stay: whether the task is about to sleep when it loses the CPU.
    half_asleep: bool = False

    @property
    def waited(self) -> int:
        return sum(self.waits)


@dataclass(frozen=True)
class Activation:
    stays: tuple[Stay, ...]
    sleep: int

    @property
    def response(self) -> int:
        return sum(each.waited + each.run for each in self.stays)

    @property
    def burst(self) -> int:
        return sum(each.run for each in self.stays)


stays = st.builds(Stay, st.lists(waits, min_size=1, max_size=3).map(tuple), times, st.booleans())
activations = st.builds(Activation, st.lists(stays, min_size=1, max_size=4).map(tuple), times)
logs = st.lists(activations, min_size=1, max_size=5)


def _stay(kernel: Kernel, stay: Stay) -> None:
    for number, wait in enumerate(stay.waits):
        if number:
            kernel.move()
        kernel.wait(wait)
    kernel.run(stay.run)


def _live(kernel: Kernel, activation: Activation, state: int = INTERRUPTIBLE) -> None:
    """The time from its wakeup to the end of its sleep."""
    kernel.wake()
    for stay in activation.stays[:-1]:
        _stay(kernel, stay)
        kernel.leave(preempt=True, state=INTERRUPTIBLE if stay.half_asleep else 0)
    _stay(kernel, activation.stays[-1])
    kernel.leave(state=state)
    if state != DEAD:
        kernel.sleep(activation.sleep)


def _lived(library: ctypes.CDLL, log: Sequence[Activation]) -> tuple[int, int, list[int]]:
    """Completions, the sum of their response times, and their counts by bucket."""
    with closing(Kernel(library)) as kernel:
        for each in log:
            _live(kernel, each)
        response = kernel.figures().response
        return response.count, response.sum_ns, list(kernel.counts(Duration.RESPONSE))


@given(logs, st.booleans())
def test_activations_are_what_happened(
    library: ctypes.CDLL, log: list[Activation], ends: bool
) -> None:
    """Response time, burst, and the waits after the wakeup and after losing the CPU are exact to
    the nanosecond, however often the CPU was lost, the wait moved, or the interval ended."""
    with closing(Kernel(library)) as kernel:
        for number, each in enumerate(log):
            _live(kernel, each, DEAD if ends and number == len(log) - 1 else INTERRUPTIBLE)
            if number % 2:
                kernel.next_interval()
        found = kernel.figures()
    assert found.response.count == found.burst.count == len(log)
    assert found.response.sum_ns == sum(each.response for each in log)
    assert found.burst.sum_ns == sum(each.burst for each in log)
    assert found.slice.sum_ns == found.burst.sum_ns
    assert found.waited_ns == sum(each.stays[0].waited for each in log)
    assert found.response.sum_ns == found.burst.sum_ns + found.waited_ns + found.preempted_ns


@given(logs, st.data(), times)
def test_a_response_never_falls_when_work_is_delayed(
    library: ctypes.CDLL, log: list[Activation], data: st.DataObject, longer: int
) -> None:
    """One longer wait: the same number of completions, and none of them sooner."""
    which = data.draw(st.integers(0, len(log) - 1))
    stay = data.draw(st.integers(0, len(log[which].stays) - 1))
    parts = list(log[which].stays)
    parts[stay] = replace(parts[stay], waits=(*parts[stay].waits, longer))
    later = [*log[:which], replace(log[which], stays=tuple(parts)), *log[which + 1 :]]
    before, after = _lived(library, log), _lived(library, later)
    assert after[0] == before[0]
    assert after[1] == before[1] + longer
    for bucket in range(len(before[2])):
        assert sum(after[2][bucket:]) >= sum(before[2][bucket:])


@given(logs, st.data())
def test_completions_never_rise_by_splitting(
    library: ctypes.CDLL, log: list[Activation], data: st.DataObject
) -> None:
    """If a move splits a wait, or a preemption splits a stay, the activations are the same."""
    which = data.draw(st.integers(0, len(log) - 1))
    stay = data.draw(st.integers(0, len(log[which].stays) - 1))
    parts = list(log[which].stays)
    old = parts[stay]
    if data.draw(st.booleans()):
        half = old.waits[0] // 2
        parts[stay] = replace(old, waits=(half, old.waits[0] - half, *old.waits[1:]))
    else:
        half = old.run // 2
        first = Stay(old.waits, half, data.draw(st.booleans()))
        parts[stay : stay + 1] = [first, Stay((0,), old.run - half, old.half_asleep)]
    split = [*log[:which], replace(log[which], stays=tuple(parts)), *log[which + 1 :]]
    assert _lived(library, split) == _lived(library, log)


@given(st.lists(stays, min_size=1, max_size=6), st.booleans())
def test_a_thread_that_never_sleeps_never_vanishes(
    library: ctypes.CDLL, parts: list[Stay], looked_before: bool
) -> None:
    """Whether it runs or waits, it is open, with all its time since its wakeup and with its
    unfinished wait; it never counts as completed."""
    with closing(Kernel(library)) as kernel:
        if looked_before:
            assert kernel.look() is None
        began = kernel.now
        kernel.wake()
        for stay in parts:
            queued = kernel.now
            for number, wait in enumerate(stay.waits):
                if number:
                    kernel.move()
                kernel.wait(wait)
            seen = kernel.look()
            assert seen
            assert seen.age_ns == kernel.now - began
            assert seen.wait_ns <= kernel.now - queued
            assert seen.wait_ns == kernel.now - queued or any(each.half_asleep for each in parts)
            kernel.run(stay.run)
            seen = kernel.look()
            assert seen
            assert seen.age_ns == kernel.now - began
            assert seen.wait_ns == 0
            kernel.leave(preempt=True, state=INTERRUPTIBLE if stay.half_asleep else 0)
            kernel.next_interval()
        assert kernel.figures().response.count == 0


@given(logs, activations, activations)
def test_a_sleep_is_no_wait_when_the_task_is_moved(
    library: ctypes.CDLL, log: list[Activation], before: Activation, after: Activation
) -> None:
    """The kernel counts the sleep of a task whose dequeue is delayed as a wait, from its move on.
    We neither count it nor report it as an unfinished wait."""
    with closing(Kernel(library)) as kernel:
        for each in log:
            _live(kernel, each)
        kernel.wake()
        _stay(kernel, before.stays[0])
        kernel.leave(state=INTERRUPTIBLE)
        known = kernel.figures()
        kernel.sleep(before.sleep, moved=True)
        assert kernel.look() is None
        kernel.wake()
        kernel.wait(after.stays[0].waited)
        seen = kernel.look()
        assert seen
        assert seen.wait_ns == 0
        kernel.run(after.stays[0].run)
        kernel.leave(state=INTERRUPTIBLE)
        found = kernel.figures()
    assert found.delay.sum_ns == known.delay.sum_ns
    assert found.response.count == known.response.count + 1
    assert found.response.sum_ns == known.response.sum_ns + after.stays[0].run


@given(activations, times)
def test_a_stop_halts_the_clock(library: ctypes.CDLL, activation: Activation, stopped: int) -> None:
    """If it is stopped at the end of each stay and then continued, the figures do not change."""
    with closing(Kernel(library)) as kernel:
        kernel.wake()
        for stay in activation.stays[:-1]:
            _stay(kernel, stay)
            kernel.leave(state=STOPPED)
            kernel.sleep(stopped)
            assert kernel.look() is None
            kernel.wake()
        _stay(kernel, activation.stays[-1])
        kernel.leave(state=INTERRUPTIBLE)
        found = kernel.figures()
    assert found.response.count == 1
    assert found.response.sum_ns == activation.response
    assert found.burst.sum_ns == activation.burst


@given(logs)
def test_a_task_of_unknown_age_is_no_completion_at_first(
    library: ctypes.CDLL, log: list[Activation]
) -> None:
    """If a task ran already when the program began, its first sleep ends nothing that is known;
    every later one does."""
    with closing(Kernel(library)) as kernel:
        kernel.wake()
        kernel.run(1_000)
        kernel.leave_unseen()
        kernel.run(5_000)
        kernel.leave(state=INTERRUPTIBLE)
        assert kernel.figures().response.count == 0
        kernel.sleep(1_000)
        for each in log:
            _live(kernel, each)
        found = kernel.figures()
    assert found.response.count == len(log)
    assert found.response.sum_ns == sum(each.response for each in log)
