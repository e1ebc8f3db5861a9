# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a probe's counts into a readable answer: sentences, histograms, tables. Pure.

Names are hostile text; each goes through `displayable` on its way into a cell.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from bpf.probes.calls import Calls, upper_us
from bpf.probes.found import ProbeFindings
from bpf.signals.source import Histogram
from daemon.api.display import displayable
from daemon.api.models import (
    HistogramBucket,
    HistogramView,
    ProbeKind,
    ProbeRequest,
    ProbeView,
    TableView,
)
from daemon.understanding.syscall_classes import class_of

MOST_ROWS = 15
MOST_BUCKETS = 64
CELL_LIMIT = 60
_LONGEST_CHAIN = 5
STATES = {0: "made to leave", 1: "asleep", 2: "uninterruptible", 4: "stopped", 8: "traced"}
# A sleep in this call is as often a wait for work as for anything else.
_IDLE = "waits for events, timers and locks are often waits for work, and not a problem"

Cell = str | float


def answer(request: ProbeRequest, found: ProbeFindings, took_s: float) -> ProbeView:
    """The results of a BCC probe."""
    summary, histograms, tables, notes = _OF[request.kind](found)
    if found.lost:
        notes = [*notes, f"{found.lost} events were lost for lack of room and are not counted"]
    return ProbeView(
        kind=request.kind,
        workload=request.workload or "",
        source="bcc",
        seconds=round(found.seconds, 2),
        took_s=round(took_s, 2),
        summary=summary or ["nothing of the kind happened in this time"],
        histograms=histograms,
        tables=tables,
        notes=notes,
        lost=found.lost,
    )


def of_calls(request: ProbeRequest, seconds: float, calls: Calls, took_s: float) -> ProbeView:
    """The counts of a probe of a program's own functions."""
    assert request.points is not None
    powers: dict[float, int] = defaultdict(int)
    seen = 0
    # Durations are read a moment after the number of calls, while calls go on.
    total = sum(count for _, count in calls.lengths)
    shares = {0.5: 0.0, 0.9: 0.0, 0.99: 0.0}
    for at, count in calls.lengths:
        upper = upper_us(at)
        seen += count
        powers[2.0 ** math.ceil(math.log2(upper))] += count
        for share, found in shares.items():
            if not found and seen >= share * total:
                shares[share] = upper
    p50, p90, p99 = shares.values()
    title = displayable(f"{request.points.enter} to the end of {request.points.exit}", 100)
    view = HistogramView(
        title=title,
        unit="us",
        count=calls.count,
        p50=p50,
        p90=p90,
        p99=p99,
        buckets=[HistogramBucket(upper=each, count=powers[each]) for each in sorted(powers)],
    )
    mean = calls.total_ns / calls.count / 1000 if calls.count else 0.0
    summary = [
        f"{calls.count / max(seconds, 0.001):.0f} calls a second, {mean:.1f} us in the mean: half "
        f"below {p50:.1f} us, one in a hundred above {p99:.1f} us, the longest "
        f"{calls.max_ns / 1000:.1f} us"
    ]
    return ProbeView(
        kind=request.kind,
        source="bcc",
        seconds=round(seconds, 2),
        took_s=round(took_s, 2),
        summary=summary if calls.count else ["no call ended in this time"],
        histograms=[view] if calls.count else [],
        notes=[f"{calls.lost} calls were lost for lack of room and are not counted"]
        if calls.lost
        else [],
        lost=calls.lost,
    )


def from_signals(
    request: ProbeRequest, delays: Histogram, responses: Histogram, seconds: float, why: str
) -> ProbeView:
    """Waits and response time from the daemon's own signals, if the probe cannot run."""
    said = [_delay_sentence("waits on a run queue", delays.count, delays.p50, delays.p99)]
    if responses.count:
        said.append(
            f"from a wakeup to the next sleep half take at most {responses.p50:.0f} us, one in a "
            f"hundred more than {responses.p99:.0f} us"
        )
    titled = (("run-queue delay", delays), ("from a wakeup to the next sleep", responses))
    return ProbeView(
        kind=request.kind,
        workload=request.workload or "",
        source="signals",
        seconds=round(seconds, 2),
        summary=said,
        histograms=[_of_signals(title, each) for title, each in titled if each.count],
        notes=[f"from the daemon's signals of the last interval, because the probe lacks: {why}"],
    )


def _of_signals(title: str, histogram: Histogram) -> HistogramView:
    """The signals have finer buckets than are shown: neighbours are merged."""
    several = -(-len(histogram.hist) // MOST_BUCKETS) or 1
    groups = [histogram.hist[at : at + several] for at in range(0, len(histogram.hist), several)]
    return HistogramView(
        title=title,
        unit="us",
        count=histogram.count,
        p50=round(histogram.p50, 1),
        p90=round(histogram.p90, 1),
        p99=round(histogram.p99, 1),
        buckets=[
            HistogramBucket(upper=group[-1][0], count=sum(count for _, count in group))
            for group in groups
        ],
    )


_Parts = tuple[list[str], list[HistogramView], list[TableView], list[str]]


def _runqlat(found: ProbeFindings) -> _Parts:
    woken = histogram("after a wakeup", found.after_wakeup or [])
    pushed = histogram("after it had to leave", found.after_preemption or [])
    whole = histogram("from a wakeup to the next sleep", found.responses or [])
    summary = [
        _delay_sentence(f"waits {each.title}", each.count, each.p50, each.p99)
        for each in (woken, pushed)
        if each.count
    ]
    if whole.count:
        total = sum(row[2] for row in found.answers)
        waited = sum(row[4] for row in found.answers)
        preempted = sum(row[5] for row in found.answers)
        summary.append(
            f"from a wakeup to the next sleep half take at most {whole.p50:.0f} us, one in a "
            f"hundred more than {whole.p99:.0f} us; of that {_part(waited, total)} is waiting "
            f"after the wakeup and {_part(preempted, total)} after losing the CPU"
        )
    rows = [
        (name, count, _us(total / count) if count else 0.0, _us(longest))
        for name, count, total, longest, _ in found.threads
    ]
    answers = [
        (
            name,
            count,
            _us(total / count),
            _us(longest),
            _us(max(0, total - waited - preempted) / count),
            _percent(waited, total),
            _percent(preempted, total),
        )
        for name, count, total, longest, waited, preempted in found.answers
        if count
    ]
    columns = (
        "thread",
        "times",
        "mean_us",
        "longest_us",
        "cpu_us",
        "waiting_percent",
        "preempted_percent",
    )
    tables = [
        _table("by thread name", ("thread", "waits", "mean_us", "longest_us"), rows),
        _table("from a wakeup to the next sleep, by thread name", columns, answers),
    ]
    return summary, [each for each in (woken, pushed, whole) if each.count], tables, []


def _offcpu(found: ProbeFindings) -> _Parts:
    total = sum(row[4] for row in found.reasons)
    by_reason: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    by_thread: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    by_class: dict[str, int] = defaultdict(int)
    for state, call, name, count, spent, longest, _ in found.reasons:
        how = STATES.get(state, f"state {state}")
        kind = "a CPU" if state == 0 else class_of(call)
        for sums in (by_reason[how, kind, call], by_thread[name]):
            sums[0] += count
            sums[1] += spent
            sums[2] = max(sums[2], longest)
        by_class[kind] += spent
    summary = [
        f"{_part(spent, total)} of its time off the CPU was for {kind}"
        for kind, spent in sorted(by_class.items(), key=lambda item: -item[1])[:4]
        if spent
    ]
    columns = ("times", "total_ms", "longest_ms")
    reasons = sorted(by_reason.items(), key=lambda item: -item[1][1])
    threads = sorted(by_thread.items(), key=lambda item: -item[1][1])
    tables = [
        _table(
            "by reason",
            ("how", "waits for", "system call", *columns),
            [(*key, sums[0], _ms(sums[1]), _ms(sums[2])) for key, sums in reasons],
        ),
        _table(
            "by thread name",
            ("thread", *columns),
            [(name, sums[0], _ms(sums[1]), _ms(sums[2])) for name, sums in threads],
        ),
    ]
    return summary, [], tables, [_IDLE] if summary else []


def _wakeups(found: ProbeFindings) -> _Parts:
    pairs = _pairs(found)
    rows = [
        (waker, woken, wakes, _us(total / count) if count else 0.0, _us(longest))
        for waker, woken, count, total, longest, wakes in pairs
    ]
    count = sum(row[2] for row in rows)
    summary = []
    if rows and count:
        wakes = rows[0][2]
        summary.append(
            f"{count / max(found.seconds, 0.001):.0f} wakeups a second; "
            f"{_part(wakes, count)} of them between one pair of thread names (first row)"
        )
    chains = [(" > ".join(chain), float(least)) for chain, least in chains_of(found)]
    tables = [
        _table(
            "who wakes whom",
            ("waker", "woken", "wakeups", "mean_delay_us", "longest_delay_us"),
            rows,
        ),
        _table("chains of wakeups", ("chain", "wakeups_at_least"), chains, limit=200),
    ]
    notes = ["a wakeup by an interrupt counts for the thread that it interrupted"] if rows else []
    return summary, [], tables, notes


def chains_of(found: ProbeFindings, most: int = 5) -> list[tuple[list[str], int]]:
    """Thread names that wake one another in a row, following each one's strongest wakeup: likely
    chains, because a wakeup does not say which earlier one led to it.
    """
    strongest: dict[str, tuple[int, str]] = {}
    for waker, woken, *_, wakes in _pairs(found):
        if waker != woken and wakes > strongest.get(waker, (0, ""))[0]:
            strongest[waker] = (wakes, woken)
    woken_by_others = {woken for _, woken in strongest.values()}
    chains: list[tuple[list[str], int]] = []
    for start in sorted(strongest, key=lambda name: (name in woken_by_others, -strongest[name][0])):
        chain, least = [start], strongest[start][0]
        while chain[-1] in strongest and len(chain) < _LONGEST_CHAIN:
            wakes, after = strongest[chain[-1]]
            if after in chain:
                chain.append(after)
                break
            chain.append(after)
            least = min(least, wakes)
        known = any(set(chain) <= set(other) for other, _ in chains)
        if len(chain) > 2 and not known:
            chains.append(([displayable(name, 24) for name in chain], least))
    return sorted(chains, key=lambda each: -each[1])[:most]


def _oncpu(found: ProbeFindings) -> _Parts:
    total = sum(row[4] for row in found.places)
    kernel = sum(row[4] for row in found.places if row[3])
    by_function: dict[tuple[str, str], int] = defaultdict(int)
    by_thread: dict[tuple[str, str], int] = defaultdict(int)
    by_module: dict[str, int] = defaultdict(int)
    for name, function, module, inside, count in found.places:
        shown = module.rpartition("/")[2] or "its own code"
        by_function[function or "(not told)", shown] += count
        by_thread[name, "kernel" if inside else "user"] += count
        by_module[shown] += count
    notes = []
    if not found.kernel_told:
        notes.append("the kernel hides its functions' names from the daemon (CAP_SYSLOG)")
    if found.unread:
        notes.append(
            f"{found.unread} processes' functions could not be read: they are gone or another "
            "user's (CAP_SYS_PTRACE)"
        )
    summary = []
    if total:
        busy = total / max(1, found.hertz) / max(found.seconds, 0.001)
        summary.append(
            f"it kept {busy:.2f} CPUs busy, {_part(kernel, total)} of it in the kernel "
            f"({total} samples)"
        )

    def rows(sums: dict[tuple[str, str], int]) -> list[tuple[Cell, ...]]:
        order = sorted(sums.items(), key=lambda item: -item[1])
        return [(*key, count, _percent(count, total)) for key, count in order]

    modules = sorted(by_module.items(), key=lambda item: -item[1])
    tables = [
        _table("by function", ("function", "of", "samples", "percent"), rows(by_function)),
        _table("by thread name", ("thread", "mode", "samples", "percent"), rows(by_thread)),
        _table(
            "by program and library",
            ("of", "samples", "percent"),
            [(name, count, _percent(count, total)) for name, count in modules],
        ),
    ]
    return summary, [], tables, notes


def _syscalls(found: ProbeFindings) -> _Parts:
    count = sum(row[1] for row in found.calls)
    classes: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for name, calls, total, _, failed in found.calls:
        sums = classes[class_of(name)]
        sums[0] += calls
        sums[1] += total
        sums[2] += failed
    order = sorted(classes.items(), key=lambda item: -item[1][0])
    summary = []
    if count:
        summary.append(
            f"{count / max(found.seconds, 0.001):.0f} system calls a second; "
            + ", ".join(f"{_part(sums[0], count)} {name}" for name, sums in order[:3])
        )
    columns = ("calls", "total_ms", "failed")
    tables = [
        _table(
            "by class",
            ("class", *columns),
            [(name, sums[0], _ms(sums[1]), sums[2]) for name, sums in order],
        ),
        _table(
            "by system call",
            ("system call", "calls", "total_ms", "mean_us", "longest_ms", "failed"),
            [
                (name, calls, _ms(total), _us(total / calls), _ms(longest), failed)
                for name, calls, total, longest, failed in found.calls
                if calls
            ],
        ),
    ]
    return summary, [], tables, [_IDLE] if count else []


def _futex(found: ProbeFindings) -> _Parts:
    waits = sum(row[3] for row in found.locks)
    total = sum(row[4] for row in found.locks)
    lengths = histogram("waits on a futex", found.lengths or [])
    rows = [
        (name, process, f"#{number}", waiters, count, _ms(spent), _us(spent / count), again)
        for number, (name, process, waiters, count, spent, _, again) in enumerate(found.locks, 1)
        if count
    ]
    summary = []
    if waits:
        waiters = max(row[2] for row in found.locks)
        summary.append(
            f"{waits} waits, {_ms(total):.1f} ms in all, on {len(found.locks)} places; the first "
            f"took {_part(found.locks[0][4], total)} of it; the most waiters of one are {waiters}"
        )
        summary.append(f"{found.wakes} wakes were requested")
    columns = ("thread", "process", "place", "waiters", "waits", "total_ms", "mean_us", "too late")
    notes = [
        "a wait for a lock and a wait for work look the same: many waiters with short waits mean "
        "a lock, one waiter with long waits is idle"
    ]
    tables = [_table("by place", columns, rows)]
    return summary, [lengths] if lengths.count else [], tables, notes if waits else []


def _chains(found: ProbeFindings) -> _Parts:
    count = sum(found.links)
    took = histogram("from the first wakeup to the last sleep", found.chain_times or [])
    long = _counted("threads of a chain", "threads", found.links)
    total = sum(row[2] for row in found.roots)
    waited = sum(row[4] for row in found.roots)
    summary = []
    if count:
        summary += [
            f"{count / max(found.seconds, 0.001):.0f} chains a second of two threads or more: half "
            f"below {took.p50:.0f} us, one in a hundred above {took.p99:.0f} us, "
            f"{long.p50:.0f} threads in the middle",
            f"{_part(waited, total)} of that time their threads waited for a CPU, which a "
            "scheduler can shorten",
        ]
    if found.cut:
        summary.append(
            f"{found.cut} were cut at {len(found.links) - 1} threads, so that their end is not "
            "known: most likely threads that wake each other for ever"
        )
    if found.alone:
        summary.append(
            f"{found.alone} times a thread was woken by an interrupt or a timer, and woke nobody"
        )
    paths = [
        (
            " > ".join(
                [*(displayable(name, 24) for name in names), *["…"] * (length > len(names))]
            ),
            length,
            "yes" if cut else "no",
            number,
            _us(spent / number),
            _us(longest),
            _percent(waiting, spent),
        )
        for names, length, cut, number, spent, longest, waiting in sorted(
            found.paths, key=lambda row: -row[3]
        )
        if number
    ]
    roots = [
        (name, number, _us(spent / number), _us(longest), _percent(waiting, spent))
        for name, number, spent, longest, waiting in sorted(found.roots, key=lambda row: -row[1])
        if number
    ]
    columns = ("chains", "mean_us", "longest_us", "waiting_percent")
    tables = [
        _table("commonest paths", ("path", "threads", "cut", *columns), paths, limit=260),
        _table("by the thread that begins them", ("thread", *columns), roots),
    ]
    notes = [
        "a wakeup by an interrupt or a timer begins a chain; one by a thread goes on with that "
        "thread's, though it may have nothing to do with it",
        "who wakes several threads makes several chains of one beginning",
    ]
    return summary, [each for each in (took, long) if each.count], tables, notes if count else []


def _preempted_locks(found: ProbeFindings) -> _Parts:
    waits = sum(row[1] for row in found.holders)
    waited = sum(row[2] for row in found.holders)
    named = sum(row[3] for row in found.holders)
    longer = sum(row[4] for row in found.holders)
    lost = sum(row[5] for row in found.holders)
    summary = []
    if waits:
        summary.append(
            f"{waits} waits for locks, {_ms(waited):.1f} ms in all: in {longer} of them whoever "
            f"held the lock lost its CPU meanwhile, for {_part(lost, waited)} of the waiters' time"
        )
        summary.append(
            f"in {_part(named, waits)} of these waits memory named the holder; in the others it is "
            "who woke the waiter, and has waited at the same place itself"
        )
    others, others_ns = found.others
    if others:
        summary.append(
            f"{others} waits more, {_ms(others_ns):.1f} ms, have no known holder: waits for work "
            "or for time, and locks of another kind"
        )
    rows = [
        (
            name,
            number,
            _ms(spent),
            cut,
            _ms(gone),
            _ms(longest),
            _percent(gone, spent),
            _percent(told, number),
        )
        for name, number, spent, told, cut, gone, longest in found.holders
        if number
    ]
    columns = (
        "holder",
        "waits",
        "waited_ms",
        "made_longer",
        "holder_off_cpu_ms",
        "longest_ms",
        "percent",
        "named_percent",
    )
    lengths = histogram("holder without a CPU, for each such wait", found.lost_lengths or [])
    notes = [
        "the holder of a lock is inferred, because the kernel does not know it (docs/workloads.md)",
        "threads that spin for a lock are not seen; for long holds the last 8 losses are counted",
    ]
    table = _table("by the holder's name", columns, rows)
    return summary, [lengths] if lengths.count else [], [table], notes if waits else []


_OF: dict[ProbeKind, Callable[[ProbeFindings], _Parts]] = {
    ProbeKind.RUNQLAT: _runqlat,
    ProbeKind.OFFCPU: _offcpu,
    ProbeKind.WAKEUPS: _wakeups,
    ProbeKind.ONCPU: _oncpu,
    ProbeKind.SYSCALLS: _syscalls,
    ProbeKind.FUTEX: _futex,
    ProbeKind.CHAINS: _chains,
    ProbeKind.PREEMPTED_LOCKS: _preempted_locks,
}


def _counted(title: str, unit: str, counts: Sequence[int]) -> HistogramView:
    """From how often each whole number occurred: the number is the index in `counts`."""
    total = sum(counts)

    def quantile(share: float) -> float:
        before = 0
        for number, count in enumerate(counts):
            before += count
            if count and before >= share * total:
                return float(number)
        return 0.0

    return HistogramView(
        title=title,
        unit=unit,
        count=total,
        p50=quantile(0.5),
        p90=quantile(0.9),
        p99=quantile(0.99),
        buckets=[
            HistogramBucket(upper=float(number), count=count)
            for number, count in enumerate(counts)
            if count
        ],
    )


def histogram(title: str, counts: Sequence[int]) -> HistogramView:
    """From counts by power of two, in microseconds (`found.Buckets`)."""
    filled = [(float(2**number), count) for number, count in enumerate(counts) if count]
    total = sum(counts)

    def quantile(share: float) -> float:
        before = 0
        for upper, count in filled:
            if before + count >= share * total:
                lower = upper / 2 if upper > 2 else 0.0
                return round(lower + (upper - lower) * (share * total - before) / count, 1)
            before += count
        return 0.0

    return HistogramView(
        title=title,
        unit="us",
        count=total,
        p50=quantile(0.5),
        p90=quantile(0.9),
        p99=quantile(0.99),
        buckets=[HistogramBucket(upper=upper, count=count) for upper, count in filled],
    )


def _table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    limit: int = CELL_LIMIT,
) -> TableView:
    made = [
        [displayable(cell, limit) if isinstance(cell, str) else float(cell) for cell in row]
        for row in rows
    ]
    return TableView(
        title=title,
        columns=list(columns),
        rows=made[:MOST_ROWS],
        left_out=max(0, len(made) - MOST_ROWS),
    )


def _delay_sentence(what: str, count: int, p50: float, p99: float) -> str:
    return (
        f"{count} {what}: half below {p50:.0f} us, one in a hundred above {p99:.0f} us"
        if count
        else f"no {what} in this time"
    )


def _pairs(found: ProbeFindings) -> list[tuple[str, str, int, int, int, int]]:
    """Merge the idle CPUs, whose names differ by their number, into one; most wakeups first."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for waker, woken, count, total, longest, wakes in found.pairs:
        each = sums["(idle CPU)" if waker.startswith("swapper/") else waker, woken]
        each[0] += count
        each[1] += total
        each[2] = max(each[2], longest)
        each[3] += wakes
    made = [(*names, each[0], each[1], each[2], each[3]) for names, each in sums.items()]
    return sorted(made, key=lambda row: -row[5])


def _part(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 1) if whole else 0.0


def _us(nanoseconds: float) -> float:
    return round(nanoseconds / 1e3, 1)


def _ms(nanoseconds: float) -> float:
    return round(nanoseconds / 1e6, 2)
