# SPDX-License-Identifier: GPL-2.0-or-later
"""Recordings of `perf sched record` and similar, through the text of `perf script`.

Its fields are chosen here and so fixed; `perf sched timehist` prints columns that change with
versions and drops who woke whom. The text of each event is the kernel's own.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from process import Fault, FaultType, ResourceLimits, Sandbox, sandboxed
from process.run import tail
from process.sandbox import build_user_id
from simulator.traces.model import (
    MAX_RECORDS,
    MAX_TASKS,
    Event,
    How,
    RecordedTrace,
    Runs,
    Sleeps,
    TracedExit,
    TracedFork,
    TracedMachine,
    TracedTask,
    TracedWake,
)
from simulator.traces.text import lines_of

FIELDS = "comm,tid,cpu,time,event,trace"
# perf.data has about 100 bytes for each event, its text 150; a million records are enough.
MAX_DATA_BYTES = 64 << 20
MAX_TEXT_BYTES = 512 << 20
_PERF_LIMIT_S = 300.0
_LIMITS = ResourceLimits(memory=4 << 30, cpu=280, file=64 << 20)
_KTHREADD = 2

# `comm tid [cpu] seconds.nanoseconds: [period] sched:event: text`. A command name may contain
# anything, so the number that follows it is found from the right; it may be left out.
_LINE = re.compile(
    r"\s*(?:(?P<comm>.{0,64}?)\s+)?(?:\d{1,10}/)?(?P<tid>-?\d{1,10})\s+\[(?P<cpu>\d{1,5})\]\s+"
    r"(?P<s>\d{1,12})\.(?P<fraction>\d{6}|\d{9}):\s+(?P<what>.*)"
)
_EVENT = re.compile(r"(?:\d+\s+)?(?P<event>[a-z_]+:[a-z_0-9]+):\s?(?P<text>.*)")
_LOST = re.compile(r"PERF_RECORD_LOST\w*\s+lost\s+(\d{1,15})")
# Lines of a call chain, which are not needed here.
_CALLER = re.compile(r"\s+[0-9a-f]{4,16}\s.*")
# perf prints by time. Events merged from several CPUs may be slightly out of order; if they are
# more or more often, the times are not counted since the beginning.
_DISORDER_NS = 10_000_000
_DISORDER_PART = 0.05
_SWITCH = (
    re.compile(
        r"prev_comm=(?P<prev>.{0,64}) prev_pid=(?P<from>\d+) prev_prio=(?P<prio>-?\d+) "
        r"prev_state=(?P<state>\S+) ==> "
        r"next_comm=(?P<next>.{0,64}) next_pid=(?P<to>\d+) next_prio=(?P<next_prio>-?\d+)"
    ),
    # libtraceevent's own format, if its plugins are installed.
    re.compile(
        r"(?P<prev>.{0,64}):(?P<from>\d+) \[(?P<prio>-?\d+)\] (?P<state>\S+) ==> "
        r"(?P<next>.{0,64}):(?P<to>\d+) \[(?P<next_prio>-?\d+)\]"
    ),
)
_WAKE = (
    re.compile(r"comm=(?P<comm>.{0,64}) pid=(?P<pid>\d+) prio=(?P<prio>-?\d+).*"),
    re.compile(r"(?P<comm>.{0,64}):(?P<pid>\d+) \[(?P<prio>-?\d+)\].*"),
)
_FORK = re.compile(
    r"comm=(?P<parent>.{0,64}) pid=(?P<from>\d+) "
    r"child_comm=(?P<comm>.{0,64}) child_pid=(?P<pid>\d+)"
)

_ENTERS = {"irq:irq_handler_entry", "irq:softirq_entry", "timer:hrtimer_expire_entry"}
_LEAVES = {"irq:irq_handler_exit", "irq:softirq_exit", "timer:hrtimer_expire_exit"}
# prio of a nice value of 0.
_NICE_0 = 120


@dataclass
class _Thread:
    """What is known about one thread so far. CPU times are since it was first seen, ns."""

    number: int
    ran: int = 0
    phase: int = 0  # `ran` when its phase began
    running_since: int | None = None
    asleep_since: int | None = None
    seen: bool = False  # its state is known

    def so_far(self, now: int) -> int:
        return self.ran + (now - self.running_since if self.running_since is not None else 0)


@dataclass
class _Importer:
    where: str
    tasks: dict[int, TracedTask] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    threads: dict[int, _Thread] = field(default_factory=dict)
    cpus: set[int] = field(default_factory=set)
    interrupts: dict[int, int] = field(default_factory=dict)
    tells_interrupts: bool = False
    tells_waking: bool = False
    tells_wakeups: bool = False
    tells_switches: bool = False
    lines: int = 0
    last: int = 0
    backwards: int = 0
    furthest_back: int = 0
    lost: int = 0
    gaps: int = 0
    running: dict[int, int] = field(default_factory=dict)
    began: int | None = None
    now: int = 0
    cut: str = ""
    unknown: int = 0

    def thread(self, pid: int, comm: str, prio: int | None = None) -> _Thread:
        known = self.threads.get(pid)
        if known is None:
            if len(self.tasks) >= MAX_TASKS:
                raise Fault(
                    FaultType.TOO_LARGE,
                    "there are too many tasks",
                    where=self.where,
                    why=f"more than {MAX_TASKS}",
                    hint="record for a shorter time",
                )
            known = self.threads[pid] = _Thread(len(self.tasks))
            self.tasks[known.number] = _task(pid, comm, _NICE_0 if prio is None else prio)
        elif prio is not None and comm != self.tasks[known.number].comm:
            # It executes another program by now.
            self.tasks[known.number] = _task(pid, comm, prio)
        return known

    def line(self, text: str) -> None:
        match = _LINE.fullmatch(text)
        if match is None and _CALLER.fullmatch(text):
            return
        if match is None:
            raise Fault(
                FaultType.BAD_REQUEST,
                "this line is not one of `perf script`",
                where=self.where,
                why=f"expected: {FIELDS.replace(',', ' ')}",
                hint=f"perf script --ns -F {FIELDS} -i perf.data > FILE",
            )
        at = int(match["s"]) * 1_000_000_000 + int(match["fraction"].ljust(9, "0"))
        if self.began is None:
            self.began = at
        self.lines += 1
        if at < self.last:
            self.backwards += 1
            self.furthest_back = max(self.furthest_back, self.last - at)
        self.last = at
        # CPUs are merged by time already; the remaining disorder is a few µs.
        self.now = max(self.now, at - self.began)
        cpu = int(match["cpu"])
        self.cpus.add(cpu)
        if said := _EVENT.fullmatch(match["what"]):
            comm = match["comm"] or ""
            self.event(said["event"], cpu, int(match["tid"]), comm, said["text"])
        elif lost := _LOST.match(match["what"]):
            self.lost += int(lost[1])

    def event(self, event: str, cpu: int, tid: int, comm: str, text: str) -> None:
        if event == "sched:sched_switch":
            # None of these holds over a switch: if one still counts, its end was lost.
            self.interrupts[cpu] = 0
            self.tells_switches = True
            self.switch(_matched(_SWITCH, text, self.where), cpu)
        elif event == "sched:sched_waking":
            self.tells_waking = self.tells_wakeups = True
            self.wake(_matched(_WAKE, text, self.where), cpu, tid, comm)
        elif event == "sched:sched_wakeup" and not self.tells_waking:
            self.tells_wakeups = True
            self.wake(_matched(_WAKE, text, self.where), cpu, tid, comm)
        elif event == "sched:sched_wakeup_new":
            self.born(_matched(_WAKE, text, self.where), tid, comm)
        elif event == "sched:sched_process_fork":
            self.fork(_matched((_FORK,), text, self.where))
        elif event in _ENTERS:
            self.tells_interrupts = True
            self.interrupts[cpu] = self.interrupts.get(cpu, 0) + 1
        elif event in _LEAVES:
            self.interrupts[cpu] = max(0, self.interrupts.get(cpu, 0) - 1)

    def switch(self, said: re.Match[str], cpu: int) -> None:
        state = said["state"]
        leaving, coming = int(said["from"]), int(said["to"])
        self.gaps += self.running.get(cpu, leaving) != leaving
        self.running[cpu] = coming
        if leaving:
            thread = self.thread(leaving, said["prev"], int(said["prio"]))
            if thread.running_since is not None:
                thread.ran += self.now - thread.running_since
            elif not thread.seen:
                # It has run since the recording began, as far as is known.
                thread.ran += self.now
            thread.running_since = None
            thread.seen = True
            # `R+`: preempted; `R`: it wants to continue.
            if state.startswith(("X", "Z")):
                self.add(TracedExit(self.now, thread.number, thread.ran - thread.phase))
                del self.threads[leaving]
            elif not state.startswith("R"):
                thread.asleep_since = self.now
        if coming:
            thread = self.thread(coming, said["next"], int(said["next_prio"]))
            if thread.asleep_since is not None:
                self.woken(thread, How.UNKNOWN, None)
            thread.running_since = self.now
            thread.seen = True

    def wake(self, said: re.Match[str], cpu: int, tid: int, comm: str) -> None:
        thread = self.thread(int(said["pid"]), said["comm"], int(said["prio"]))
        if not thread.seen:
            # It slept when the recording began.
            thread.seen = True
            thread.asleep_since = 0
        if thread.asleep_since is None:
            return
        if tid <= 0 or self.interrupts.get(cpu):
            self.woken(thread, How.OUTSIDE, None)
        else:
            self.woken(thread, How.TASK, self.thread(tid, comm))

    def woken(self, thread: _Thread, how: How, waker: _Thread | None) -> None:
        assert thread.asleep_since is not None
        ran, slept = thread.ran - thread.phase, self.now - thread.asleep_since
        thread.asleep_since = None
        thread.phase = thread.ran
        if waker is None or waker is thread:
            self.add(TracedWake(self.now, thread.number, ran, slept, how))
            return
        offset = max(0, waker.so_far(self.now) - waker.phase)
        self.add(TracedWake(self.now, thread.number, ran, slept, how, waker.number, offset))

    def fork(self, said: re.Match[str]) -> None:
        parent, child = int(said["from"]), int(said["pid"])
        maker = self.thread(parent, said["parent"])
        self.threads.pop(child, None)
        made = self.thread(child, said["comm"])
        made.seen = True
        self.add(
            TracedFork(self.now, made.number, maker.number, maker.so_far(self.now) - maker.phase)
        )

    def born(self, said: re.Match[str], tid: int, comm: str) -> None:
        """The first wakeup of a thread whose creation was not recorded."""
        child = int(said["pid"])
        if child in self.threads or tid <= 0:
            return
        maker = self.thread(tid, comm)
        made = self.thread(child, said["comm"], int(said["prio"]))
        made.seen = True
        self.add(
            TracedFork(self.now, made.number, maker.number, maker.so_far(self.now) - maker.phase)
        )

    def add(self, event: Event) -> None:
        if len(self.events) >= MAX_RECORDS:
            self.cut = "records"
        else:
            self.events.append(event)

    def finish(self) -> None:
        for thread in self.threads.values():
            ran = thread.so_far(self.now) - thread.phase
            if thread.asleep_since is not None:
                slept = self.now - thread.asleep_since
                self.add(Sleeps(self.now, thread.number, ran, slept))
            elif thread.seen:
                self.add(Runs(self.now, thread.number, ran))


def _task(pid: int, comm: str, prio: int) -> TracedTask:
    """The facts in the text about a thread; it does not contain its cgroup and its process."""
    kthread = pid == _KTHREADD or bool(
        re.match(r"(kworker|ksoftirqd|migration|rcu|kcompactd|khugepaged|kswapd)\b", comm)
    )
    name = comm[:64]
    workload = f"kthread:{name.partition('/')[0]}" if kthread else f"comm:{name}"
    # Below 100 are the real-time priorities.
    nice = prio - _NICE_0 if 100 <= prio < 140 else 0
    return TracedTask(
        comm=name,
        workload=workload,
        pid=pid,
        tgid=pid,
        nice=nice,
        policy=0 if prio >= 100 else 1,
        kthread=kthread,
    )


def _matched(shapes: Iterable[re.Pattern[str]], text: str, where: str) -> re.Match[str]:
    for shape in shapes:
        if match := shape.fullmatch(text.strip()):
            return match
    raise Fault(
        FaultType.BAD_REQUEST,
        "this event of perf's cannot be read",
        where=where,
        hint="please report the line; it is of another version of perf or of the kernel",
    )


def _imported(lines: Iterator[bytes], path: Path) -> RecordedTrace:
    importer = _Importer(str(path))
    for number, raw in enumerate(lines, start=1):
        text = raw.decode("utf-8", "backslashreplace").rstrip("\n")
        if not text.strip() or text.startswith("#"):
            continue
        importer.where = f"{path}, line {number}"
        importer.line(text)
        if importer.cut:
            break
    if importer.began is None or not importer.tasks:
        raise Fault(
            FaultType.BAD_REQUEST,
            "there is nothing of the scheduler in it",
            where=str(path),
            hint="record it with: perf sched record",
        )
    _require_sound(importer, path)
    importer.finish()
    return RecordedTrace(
        machine=TracedMachine(cpus=max(importer.cpus) + 1),
        tasks=importer.tasks,
        events=tuple(importer.events),
        duration_ns=importer.now,
        source="perf",
        lost=importer.lost,
        cut=importer.cut,
        notes=tuple(_notes(importer)),
    )


def _require_sound(importer: _Importer, path: Path) -> None:
    """Refuse a recording that says nothing about runs and sleeps, even if it can be read.

    Raises:
        Fault: BAD_REQUEST.
    """
    often = importer.backwards > max(1, _DISORDER_PART * importer.lines)
    if often or importer.furthest_back > _DISORDER_NS:
        raise Fault(
            FaultType.BAD_REQUEST,
            "the times of this recording do not rise",
            where=str(path),
            why=f"{importer.backwards} of {importer.lines} lines are earlier than the one before"
            + (", as with `perf script --deltatime`" if often else ""),
            hint=f"print them since the beginning: perf script --ns -F {FIELDS} -i perf.data",
        )
    if not importer.tells_switches:
        raise Fault(
            FaultType.BAD_REQUEST,
            "the recording does not say when tasks run",
            where=str(path),
            why="it has no sched:sched_switch",
            hint="record it with: perf sched record",
        )


def _notes(importer: _Importer) -> Iterator[str]:
    """Notes about what the recording lacks."""
    if not importer.tells_wakeups:
        yield (
            "perf did not record wakeups: nobody wakes anybody, and waiting for a CPU counts as "
            "sleep"
        )
    elif not importer.tells_interrupts:
        yield (
            "perf did not record interrupts: a sleep that a timer ended beside a running task "
            "may count as ended by that task"
        )
    if importer.gaps:
        yield (
            f"{importer.gaps} switches do not follow from those before: perf lost events, and "
            "runs and sleeps around them may be wrong"
        )
    if importer.backwards:
        yield f"{importer.backwards} lines are earlier than those before, and count as at once"
    yield (
        "perf records no cgroups, affinities and policies: every task is in the root cgroup, may "
        "run on all CPUs, and is SCHED_OTHER unless it is real-time"
    )


def read_perf_script(path: Path) -> RecordedTrace:
    """The text of `perf script --ns -F comm,tid,cpu,time,event,trace`, plain or by gzip.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, or BAD_REQUEST with the line that is wrong.
    """
    return _imported(lines_of(path, most_bytes=MAX_TEXT_BYTES), path)


def read_perf_data(path: Path) -> RecordedTrace:
    """A `perf.data`, which perf itself turns into text: confined, because the file may be anyone's.

    Raises:
        Fault: MISSING_TOOL, TOO_LARGE, CHILD_FAILED, TIMEOUT, and those of `read_perf_script`.
    """
    if path.stat().st_size > MAX_DATA_BYTES:
        raise Fault(
            FaultType.TOO_LARGE,
            "the recording is too large",
            where=str(path),
            why=f"more than {MAX_DATA_BYTES >> 20} MiB",
            hint="record for a shorter time",
        )
    if shutil.which("perf") is None:
        raise Fault(
            FaultType.MISSING_TOOL,
            "perf is needed to read its recordings, and not installed",
            where=str(path),
            hint=f"apt install linux-perf, or bring the text: perf script --ns -F {FIELDS}",
        )
    with tempfile.TemporaryDirectory(prefix="schedpilot-perf-") as place:
        work = Path(place)
        # perf insists on a file that belongs to its user.
        copy = work / "perf.data"
        shutil.copyfile(path, copy)
        copy.chmod(0o644)
        user = build_user_id()
        if user is not None:
            shutil.chown(work, *user)
            shutil.chown(copy, *user)
        words = ["perf", "script", "--force", "--ns", "-F", FIELDS, "-i", copy.name]
        done = sandboxed(
            words, Sandbox(read=(work,), cwd=work, limits=_LIMITS), timeout=_PERF_LIMIT_S
        )
    if done.status != 0 or not done.stdout:
        raise Fault(
            FaultType.CHILD_FAILED,
            "perf cannot read the recording",
            where=str(path),
            hint=f"use the text of the perf that recorded it: perf script --ns -F {FIELDS} > FILE",
            details=tuple(line for line in tail(done.stderr) if "not valid for" not in line),
        )
    if len(done.stdout) > MAX_TEXT_BYTES:
        raise Fault(FaultType.TOO_LARGE, "the recording's text is too large", where=str(path))
    recorded = _imported(iter(done.stdout.splitlines(keepends=True)), path)
    if lost := re.search(r"lost (\d+ \w+)", done.error_text):
        return replace(recorded, notes=(*recorded.notes, f"perf says that it lost {lost[1]}"))
    return recorded
