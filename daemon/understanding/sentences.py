# SPDX-License-Identifier: GPL-2.0-or-later
"""A profile in sentences: what it is sure of, and what it does not know. Pure.

They contain figures and our own words, and no text from a process.
"""

from daemon.api.models import Certainty, ProgramKind, WorkloadProfileView

# From this value on a figure is worth a sentence.
_PRESSED_PERCENT = 5.0
_NOTABLE_SHARE = 0.1


def sure_of(view: WorkloadProfileView, from_signals: list[str], cpus: int) -> list[str]:
    said = list(from_signals)
    first = view.kinds[0] if view.kinds else None
    if first and first.kind is not ProgramKind.UNKNOWN and first.certainty is Certainty.SURE:
        said.append(f"{first.share:.0%} of its CPU time is that of a program of kind {first.kind}")
    each = view.parallelism
    if each.looks and view.threads_looked_at:
        said.append(
            f"{each.running_mean:.1f} of its {view.threads_total} threads are on a CPU and "
            f"{each.waiting_mean:.1f} wait for one, at most {each.most} at once, of {cpus} CPUs"
        )
    waits = view.waits
    if waits.runqueue_share is not None and waits.runqueue_share >= _NOTABLE_SHARE:
        said.append(f"its threads wait for a CPU {waits.runqueue_share:.0%} of the time")
    if waits.io_share is not None and waits.io_share >= _NOTABLE_SHARE:
        said.append(
            f"its threads wait for storage {waits.io_share:.0%} of the time, "
            "which no scheduler changes"
        )
    if view.delay is not None:
        said.append(
            f"half of its waits on a run queue are below {view.delay.p50_us:.0f} us, one in a "
            f"hundred is above {view.delay.p99_us:.0f} us, the longest was "
            f"{view.delay.max_us:.0f} us ({view.delay.count} waits)"
        )
    said += [
        f"some task of the {pressure.scope} waits for a CPU {pressure.cpu:.0f}% of the time"
        for pressure in view.pressure
        if pressure.cpu is not None and pressure.cpu >= _PRESSED_PERCENT
    ]
    if view.limits and view.limits.cpus is not None:
        share = view.limits.throttled_share
        used = f", used up in {share:.0%} of the periods" if share else ""
        if share and view.split and view.split.preempted:
            used += "; some of the measured preemption is that, which no scheduler changes"
        said.append(f"its cgroup grants it {view.limits.cpus:g} CPUs{used}")
    return said


def not_known(
    view: WorkloadProfileView, *, functions_told: bool, io_told: bool, whole: bool
) -> list[str]:
    unsure: list[str] = []
    if not whole:
        unsure.append("whether these are all its processes: the look was cut short")
    first = view.kinds[0] if view.kinds else None
    if not view.processes_total:
        unsure.append("which processes it is made of: none is there now")
    elif first is None or first.kind is ProgramKind.UNKNOWN:
        unsure.append("what its programs are for: no rule knows their names")
    elif first.certainty is not Certainty.SURE:
        why = (
            "their names and arguments say so, which anybody can choose"
            if first.certainty is Certainty.LIKELY
            else "this is inferred from their surroundings or their behaviour"
        )
        unsure.append(f"whether its programs are truly of kind {first.kind}: {why}")
    if view.threads_total > view.threads_looked_at:
        unsure.append(
            f"how {view.threads_total - view.threads_looked_at} more of its threads behave: only "
            "a limited number is checked"
        )
    if view.threads_looked_at and not functions_told:
        unsure.append(
            "what its threads sleep for: the kernel shows the daemon only processes with its own "
            "rights; the probe offcpu can show it"
        )
    elif view.waits.lock_share:
        unsure.append(
            "whether threads asleep on a futex wait for a lock or for work; the probe futex helps"
        )
    if view.processes_total and not io_told:
        unsure.append("how much it reads and writes: the kernel does not show the daemon")
    if view.split is not None and view.threads_looked_at:
        unsure.append(
            "the parts of response time by thread name: the signals have those of the workload; "
            "for its threads the look has means, with both kinds of waiting combined; the probe "
            "runqlat shows them"
        )
    if view.split is not None and view.waits.lock_share:
        unsure.append(
            "whether a thread that holds a lock is preempted while others wait for it: the probe "
            "preempted-locks shows it"
        )
    if view.delay is None:
        unsure.append("how long it waits on run queues: the last interval of the signals lacks it")
    if view.counters is None:
        unsure.append(f"how well it uses caches and pipelines: {view.counters_note}")
    return unsure
