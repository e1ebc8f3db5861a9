# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a task waited, from the engine's observations. Pure."""

from collections.abc import Sequence

from simulator.explain import Explanation, explain
from simulator.run import Ejection, Ended, ObservedWait

_S = 1e9
_KEEP_CLOCK = (
    "give every queue its turn (after so many tasks, or when its first has waited too long), let "
    "waiting count, and keep the vtime of sleepers and newcomers near the clock"
)


def cause_of(ejection: Ejection) -> Explanation:
    """The causes of an ejection: where the watchdog found a task, and the observations about its
    wait.
    """
    if ejection.kind is Ended.STALL and ejection.wait is not None:
        return explain_wait(ejection.wait)
    return explain(ejection)


def cpus(numbers: Sequence[int]) -> str:
    """CPU numbers as people write them: `CPU 3`, `CPUs 0-2 and 5`."""
    spans: list[list[int]] = []
    for each in sorted(numbers):
        if spans and each == spans[-1][1] + 1:
            spans[-1][1] = each
        else:
            spans.append([each, each])
    words = [f"{first}" if first == last else f"{first}-{last}" for first, last in spans]
    listed = ", ".join(words[:-1]) + (" and " if words[:-1] else "") + words[-1] if words else ""
    return f"CPU{'s' if len(numbers) > 1 else ''} {listed}" if words else "no CPU"


def queue_of(wait: ObservedWait) -> str:
    """The queue's name in a sentence."""
    if wait.place == "local":
        return f"the local queue of CPU {wait.queue}"
    if wait.place == "global":
        return "SCX_DSQ_GLOBAL"
    number = str(wait.queue) if wait.queue < 1 << 16 else f"{wait.queue:#x}"
    return f"the queue {number}"


def explain_wait(wait: ObservedWait) -> Explanation:
    """Whether the task is lost, starved, or waits for a CPU that nobody wakes; and what to do."""
    if wait.ended:
        return _held(wait) if wait.held else _passed(wait)
    if wait.offline and not wait.allowed:
        return _unplugged(wait)
    if wait.held and set(wait.held) >= set(wait.allowed) and _keeps_on(wait):
        return _held(wait)
    if wait.place == "nowhere":
        return _passed(wait) if wait.fate == "taken" else _nowhere(wait)
    if wait.place == "local":
        return _held(wait) if wait.held else _passed(wait)
    served = [each for each in wait.looked if each in wait.allowed]
    once = [each for each in wait.ever if each in wait.allowed]
    if wait.fate == "taken":
        return _idle(wait) if wait.idle and not served else _passed(wait)
    if served and 2 * wait.taken_ns < wait.ns:
        return _passed(wait)
    if served:
        return _left(wait)
    if wait.ever and not once:
        return _elsewhere(wait)
    if wait.idle and once and wait.fate != "left":
        return _idle(wait)
    return _unserved(wait)


def _keeps_on(wait: ObservedWait) -> bool:
    """Whether its holder continues for a reason of its own, not because nothing else was found."""
    return wait.extended or wait.endless or not set(wait.held) & set(wait.asked)


def _nowhere(wait: ObservedWait) -> Explanation:
    return Explanation(
        f"the task is lost: the scheduler has had {wait.task} for {wait.ns / _S:.3g} s, and it is "
        "in no queue: neither enqueue nor dispatch inserted it",
        "insert the task on every path through enqueue; one that is kept in a map, a list or a "
        "tree has to be inserted in dispatch, on a CPU that may run it",
        callbacks=("enqueue", "dispatch"),
    )


def _unserved(wait: ObservedWait) -> Explanation:
    asked = f", though dispatch was called on {cpus(wait.asked)}" if wait.asked else ""
    more = " any more" if wait.ever else ""
    return Explanation(
        f"the task is lost: {wait.task} is in {queue_of(wait)}, from which no CPU takes "
        f"tasks{more}{asked}; {cpus(wait.allowed)} may run it",
        "take tasks from it in dispatch: scx_bpf_dsq_move_to_local(), on each CPU that may run "
        "them",
        callbacks=("dispatch", "enqueue"),
    )


def _elsewhere(wait: ObservedWait) -> Explanation:
    return Explanation(
        f"the task is lost: {wait.task} is in {queue_of(wait)}, from which only {cpus(wait.ever)} "
        f"would take it, and it may run on {cpus(wait.allowed)} only",
        "put a task into a queue that is served by a CPU it may use: ask "
        "bpf_cpumask_test_cpu(cpu, p->cpus_ptr) in enqueue, or let dispatch on every CPU look "
        "into this queue as well; affinity can change while a task waits",
        callbacks=("enqueue", "dispatch"),
    )


def _idle(wait: ObservedWait) -> Explanation:
    return Explanation(
        f"nobody was woken: {wait.task} was in {queue_of(wait)} while {cpus(wait.idle)}, which "
        "may run it, idled",
        "wake an idle CPU when a task is put into a queue: `cpu = "
        "scx_bpf_pick_idle_cpu(p->cpus_ptr, 0); if (cpu >= 0) scx_bpf_kick_cpu(cpu, "
        "SCX_KICK_IDLE);`",
        callbacks=("enqueue", "dispatch"),
    )


def _unplugged(wait: ObservedWait) -> Explanation:
    return Explanation(
        f"the task is lost: {wait.task} is in {_standing(wait)} and may run only on "
        f"{cpus(wait.offline)}, which went offline: dispatch is no longer called there",
        "in cpu_offline move the tasks of that CPU to SCX_DSQ_GLOBAL, which the kernel serves "
        "until the end: `bpf_for_each(scx_dsq, p, ID, 0) if (scx_bpf_task_cpu(p) == cpu) "
        "scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);`; or leave cpu_online and "
        "cpu_offline out, and the kernel ends the scheduler in an orderly way",
        callbacks=("cpu_offline", "enqueue"),
    )


def _left(wait: ObservedWait) -> Explanation:
    return Explanation(
        f"the task is lost: {wait.task} is in {queue_of(wait)}; {cpus(wait.looked)} looked into "
        "it and left it there",
        "take tasks from the queue: scx_bpf_dsq_move_to_local(), or scx_bpf_dsq_move() for each "
        "task that the iterator finds and this CPU may run",
        callbacks=("dispatch",),
    )


def _held(wait: ObservedWait) -> Explanation:
    if wait.endless:
        why = "its slice is endless"
    elif wait.extended:
        why = "dispatch gives the running task a new slice each time"
    elif not wait.ended and not set(wait.held) & set(wait.asked):
        why = "its slice is long, or filled up before it ends"
    else:
        why = "its slice is long, or dispatch takes nobody else"
    others = [each for each in wait.held if each in wait.allowed]
    where = f"each of {cpus(others)}" if len(others) > 1 else cpus(wait.held)
    example = f"{wait.holder} for {wait.held_ns / _S:.3g} s"
    ran = (
        f"one task without a break, {example}" if len(others) > 1 else f"{example} without a break"
    )
    return Explanation(
        f"starvation: {wait.task} waited in {_standing(wait)} while {where} ran {ran}: {why}",
        "let slices end: SCX_SLICE_DFL is 20 ms; in dispatch take the next task when the slice "
        "of the running one is used up, and give it a new one only if the queue is empty",
        callbacks=("dispatch", "tick", "running", "enqueue"),
    )


def _standing(wait: ObservedWait) -> str:
    return "no queue" if wait.place == "nowhere" else queue_of(wait)


def _passed(wait: ObservedWait) -> Explanation:
    if wait.place == "nowhere":
        first = "the scheduler, which has it in no queue, inserted others before it"
    elif wait.passed and (wait.ended or 2 * wait.taken_ns < wait.ns):
        first = f"{wait.passed} others went before it from {queue_of(wait)}"
        if wait.looked and not set(wait.looked) & set(wait.allowed):
            first += (
                f", where of late only {cpus(wait.looked)} looked; it may run on "
                f"{cpus(wait.allowed)} only"
            )
    else:
        first = f"dispatch found others each time before it came to {queue_of(wait)}"
        if wait.place != "created":
            first = f"others were always there before {queue_of(wait)} was looked into"
    return Explanation(
        f"starvation: {wait.task} waited, and {first}",
        _KEEP_CLOCK,
        callbacks=("enqueue", "dispatch"),
    )
