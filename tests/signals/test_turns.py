# SPDX-License-Identifier: GPL-2.0-or-later
"""How the kernel half counts the work of an event loop: its own C, built natively, on a kernel that
says when waits for events return."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signals.native import INTERRUPTIBLE, STOPPED, Duration, Figures, Kernel

# The most that one return counts as.
MOST_EVENTS = 1024
# Nanoseconds; waits may be zero.
times = st.integers(1_000, 10_000_000_000)
waits = st.integers(0, 10_000_000_000)


@dataclass(frozen=True)
class Step:
    """Runs for a time, then a wait for events returns at once with this many."""

    run: int
    events: int


@dataclass(frozen=True)
class Stay:
    """Waits for a CPU, goes through its steps and then runs for a time."""

    wait: int
    steps: tuple[Step, ...]
    run: int


@dataclass(frozen=True)
class Activation:
    """Stays, between which the CPU is lost, then a sleep."""

    stays: tuple[Stay, ...]
    sleep: int

    @property
    def length(self) -> int:
        return sum(
            stay.wait + stay.run + sum(step.run for step in stay.steps) for stay in self.stays
        )

    @property
    def events(self) -> list[int]:
        return [step.events for stay in self.stays for step in stay.steps if step.events > 0]


steps = st.builds(Step, times, st.integers(-4, 40))
stays = st.builds(Stay, waits, st.lists(steps, max_size=3).map(tuple), times)
activations = st.builds(Activation, st.lists(stays, min_size=1, max_size=3).map(tuple), times)
logs = st.lists(activations, min_size=1, max_size=4)


@contextmanager
def _loop(library: ctypes.CDLL) -> Iterator[Kernel]:
    """Begin with a thread that is known as an event loop: two activations with one completion
    each."""
    with closing(Kernel(library)) as kernel:
        for _ in range(2):
            _live(kernel, Activation((Stay(0, (Step(1_000, 1),), 1_000),), 1_000))
        yield kernel


def _go(kernel: Kernel, stay: Stay) -> None:
    kernel.wait(stay.wait)
    # It gets the CPU for no time.
    kernel.run(0)
    for step in stay.steps:
        kernel.run(step.run)
        kernel.events(step.events)
    kernel.run(stay.run)


def _live(kernel: Kernel, activation: Activation) -> None:
    kernel.wake()
    for stay in activation.stays[:-1]:
        _go(kernel, stay)
        kernel.leave(preempt=True)
    _go(kernel, activation.stays[-1])
    kernel.leave(state=INTERRUPTIBLE)
    kernel.sleep(activation.sleep)


def _expected(log: Sequence[Activation]) -> list[tuple[int, int]]:
    """(completions, response time of each), by definition."""
    found = []
    for activation in log:
        start = now = events = 0
        for stay in activation.stays:
            now += stay.wait
            for step in stay.steps:
                now += step.run
                if step.events <= 0:
                    continue
                if events:
                    found.append((events, now - start))
                    start = now
                events = min(step.events, MOST_EVENTS)
            now += stay.run
        found.append((max(1, events), now - start))
    return found


@dataclass(frozen=True)
class _Lived:
    figures: Figures
    response_counts: tuple[int, ...]

    @property
    def completions(self) -> int:
        return self.figures.response.count


def _lived(library: ctypes.CDLL, log: Sequence[Activation]) -> _Lived:
    with _loop(library) as kernel:
        for each in log:
            _live(kernel, each)
        return _Lived(kernel.figures(), tuple(kernel.counts(Duration.RESPONSE)))


@given(logs)
def test_turns_are_what_happened(library: ctypes.CDLL, log: list[Activation]) -> None:
    """Each event is one completion. It lasts from the return that reported it, or from the wakeup,
    to the next return or sleep, exact to the nanosecond, however often the CPU was lost."""
    with _loop(library) as kernel:
        before = kernel.figures()
        for number, each in enumerate(log):
            _live(kernel, each)
            if number % 2:
                kernel.next_interval()
        found = kernel.figures()
    expected = _expected(log)
    assert found.response.count - before.response.count == sum(count for count, _ in expected)
    assert found.response.sum_ns - before.response.sum_ns == sum(
        count * took for count, took in expected
    )


@given(logs)
def test_what_an_activation_is_made_of_stays(library: ctypes.CDLL, log: list[Activation]) -> None:
    """Burst, waited and preempted last from sleep to sleep, once for each activation. Their sum is
    its length, whatever happened between."""
    with _loop(library) as kernel:
        before = kernel.figures()
        for each in log:
            _live(kernel, each)
        found = kernel.figures()
    assert found.burst.count - before.burst.count == len(log)
    parts = found.burst.sum_ns + found.waited_ns + found.preempted_ns
    parts -= before.burst.sum_ns + before.waited_ns + before.preempted_ns
    assert parts == sum(each.length for each in log)


@given(logs, st.data(), times)
def test_a_response_never_falls_when_work_is_delayed(
    library: ctypes.CDLL, log: list[Activation], data: st.DataObject, longer: int
) -> None:
    """One longer wait for a CPU: the same number of completions, and none of them sooner."""
    which = data.draw(st.integers(0, len(log) - 1))
    stay = data.draw(st.integers(0, len(log[which].stays) - 1))
    parts = list(log[which].stays)
    parts[stay] = replace(parts[stay], wait=parts[stay].wait + longer)
    later = [*log[:which], replace(log[which], stays=tuple(parts)), *log[which + 1 :]]
    before, after = _lived(library, log), _lived(library, later)
    assert after.completions == before.completions
    assert after.figures.response.sum_ns >= before.figures.response.sum_ns + longer
    for bucket in range(len(before.response_counts)):
        assert sum(after.response_counts[bucket:]) >= sum(before.response_counts[bucket:])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.lists(times, min_size=9))
def test_completions_are_the_events_in_however_many_returns(
    library: ctypes.CDLL, events: list[int], runs: list[int]
) -> None:
    """Events count alike if they come all at once, in several returns of one activation, or each in
    its own activation."""

    def one(counts: Sequence[int]) -> Activation:
        parts = tuple(Step(run, count) for run, count in zip(runs, counts, strict=False))
        return Activation((Stay(500, parts, 1_000),), 1_000)

    ways = ([one([sum(events)])], [one(events)], [one([count]) for count in events])
    assert len({_lived(library, way).completions for way in ways}) == 1


@given(logs, st.data(), st.integers(-200, 0))
def test_a_return_without_events_is_nothing(
    library: ctypes.CDLL, log: list[Activation], data: st.DataObject, none: int
) -> None:
    """If it timed out or was interrupted, the current turn goes on."""
    which = data.draw(st.integers(0, len(log) - 1))
    stay = data.draw(st.integers(0, len(log[which].stays) - 1))
    parts = list(log[which].stays)
    half = parts[stay].run // 2
    parts[stay] = replace(
        parts[stay],
        steps=(*parts[stay].steps, Step(half, none)),
        run=parts[stay].run - half,
    )
    split = [*log[:which], replace(log[which], stays=tuple(parts)), *log[which + 1 :]]
    assert _lived(library, split) == _lived(library, log)


@pytest.mark.parametrize("events", [1025, 2**31 - 1])
def test_a_return_counts_as_a_thousand_at_most(library: ctypes.CDLL, events: int) -> None:
    """This holds for any number of events that a hostile loop requests at once."""
    log = [Activation((Stay(0, (Step(1_000, events),), 1_000),), 1_000)]
    nothing = _lived(library, ()).completions
    assert _lived(library, log).completions == nothing + MOST_EVENTS


@given(activations, st.lists(stays, min_size=1, max_size=6))
def test_a_loop_that_never_sleeps_never_vanishes(
    library: ctypes.CDLL, before: Activation, parts: list[Stay]
) -> None:
    """Its finished events are counted while it runs. It is open with its current turn, or with all
    its time since its wakeup if it has had no event."""
    with _loop(library) as kernel:
        _live(kernel, before)
        known = kernel.figures()
        start = kernel.now
        done = under_way = spent = 0
        kernel.wake()
        for stay in parts:
            kernel.wait(stay.wait)
            seen = kernel.look()
            assert seen
            assert seen.age_ns == kernel.now - start
            assert seen.wait_ns == stay.wait
            kernel.run(0)
            for step in stay.steps:
                kernel.run(step.run)
                kernel.events(step.events)
                if step.events <= 0:
                    continue
                if under_way:
                    done += under_way
                    spent += under_way * (kernel.now - start)
                    start = kernel.now
                under_way = step.events
            kernel.run(stay.run)
            seen = kernel.look()
            assert seen
            assert seen.age_ns == kernel.now - start
            kernel.leave(preempt=True)
            kernel.next_interval()
        found = kernel.figures()
    assert found.response.count - known.response.count == done
    assert found.response.sum_ns - known.response.sum_ns == spent
    assert found.burst.count == known.burst.count


@given(stays, times, st.lists(steps, max_size=2), times, st.booleans())
def test_a_stop_halts_the_clock_of_a_turn(
    library: ctypes.CDLL, stay: Stay, stopped: int, after: list[Step], run: int, cut: bool
) -> None:
    """If it is stopped during its work and then continued, the figures do not change."""
    rest = Stay(0, tuple(after), run)
    with _loop(library) as kernel:
        kernel.wake()
        _go(kernel, stay)
        kernel.leave(state=STOPPED)
        kernel.sleep(stopped)
        kernel.wake()
        if cut:
            # The CPU is lost again before anything arrives.
            kernel.run(0)
            kernel.leave(preempt=True)
        _go(kernel, rest)
        kernel.leave(state=INTERRUPTIBLE)
        found = kernel.figures()
    whole = _lived(library, [Activation((stay, rest), 1_000)]).figures
    assert found.response == whole.response
    assert found.burst == whole.burst


@given(activations)
def test_a_loop_of_unknown_age_counts_from_its_first_return(
    library: ctypes.CDLL, activation: Activation
) -> None:
    """It ran already when the program began. Nobody knows when it woke up, but its turns are
    counted from then on."""
    with closing(Kernel(library)) as kernel:
        kernel.wake()
        kernel.run(1_000)
        kernel.leave_unseen()
        kernel.run(5_000)
        kernel.leave(preempt=True)
        for stay in activation.stays[:-1]:
            _go(kernel, stay)
            kernel.leave(preempt=True)
        _go(kernel, activation.stays[-1])
        kernel.leave(state=INTERRUPTIBLE)
        found = kernel.figures()
    turns = _expected([activation]) if activation.events else []
    assert found.response.count == sum(count for count, _ in turns)
    assert found.burst.count == 0
    assert found.response.sum_ns <= sum(count * took for count, took in turns)
    assert found.response.sum_ns > 0 or not turns


def test_returns_before_its_first_departure_are_not_seen(library: ctypes.CDLL) -> None:
    """Until a thread leaves a CPU for the first time, nothing is stored for it: it completes once,
    when it sleeps."""
    with closing(Kernel(library)) as kernel:
        _live(kernel, Activation((Stay(0, (Step(1_000, 7), Step(1_000, 7)), 1_000),), 1_000))
        found = kernel.figures()
    assert found.response.count == 1
    assert found.response.sum_ns == 3_000
