# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one probe: compiles its C with BCC, waits, and prints the counts as one JSON line.

It is a separate program, run by the system's Python, which has BCC and none of our modules; the
project's Python has no BCC. It reads one line of JSON: `kind`, `seconds`, `whose` and its
arguments, `processes` (the existing ones), `futex` (the number of that system call), `place` (the
folder of the C). It ends with its standard input, because then nobody reads its results.

The kind `calls` continues: each further line is answered with the counts since the previous one.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = Any
# Objects of BCC, which has no types.
Bcc = Any
# Samples of the CPU per second: odd, so that sampling does not run in step with the sampled work.
HERTZ = 97
# How many addresses are looked up, the most frequent first, and how many rows are printed.
MOST_ADDRESSES = 400
MOST_ROWS = 2000
# How long a run may take beside the observation, seconds: compiling is slow on an emulated machine.
SPARE_S = 150
PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK = 1, 0
USUAL = ("count", "total_ns", "max_ns", "more")


def name_of(raw: Bcc) -> str:
    return bytes(raw).split(b"\0")[0].decode("utf-8", "backslashreplace")


def values(sum_: Bcc) -> list[int]:
    return [int(getattr(sum_, each)) for each in USUAL]


def histogram(table: Bcc) -> list[int]:
    return [int(table[each].value) for each in range(40)]


def largest(rows: Iterable[Row], by: Callable[[Row], int]) -> list[Row]:
    return sorted(rows, key=by, reverse=True)[:MOST_ROWS]


def call_name(number: int) -> str:
    from bcc.syscall import syscalls  # type: ignore[import-not-found]  # after the time that counts

    if number == 0xFFFFFFFF:
        return ""
    name = syscalls.get(number)
    return name.decode() if name else f"call {number}"


def runqlat(b: Bcc) -> dict[str, Any]:
    rows = [[name_of(key.text), *values(sum_)] for key, sum_ in b["threads"].items()]
    answers = [
        [
            name_of(key.text),
            *values(of.sum)[:3],
            int(of.waited_ns),
            int(of.preempted_ns),
        ]
        for key, of in b["answers"].items()
    ]
    return {
        "responses": histogram(b["responses"]),
        "answers": largest(answers, lambda row: row[2]),
        "after_wakeup": histogram(b["after_wakeup"]),
        "after_preemption": histogram(b["after_preemption"]),
        "threads": largest(rows, lambda row: row[2]),
    }


def offcpu(b: Bcc) -> dict[str, Any]:
    sums: dict[tuple[int, str, str], list[int]] = {}
    for key, sum_ in b["reasons"].items():
        sums[key.state, call_name(key.call), name_of(key.name.text)] = values(sum_)
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    for away in b["left"].values():
        why = (away.why.state, call_name(away.why.call), name_of(away.why.name.text))
        sum_ = sums.setdefault(why, [0, 0, 0, 0])
        gone = max(0, now - away.since)
        sums[why] = [sum_[0] + 1, sum_[1] + gone, max(sum_[2], gone), sum_[3] + 1]
    return {"reasons": largest(([*why, *sum_] for why, sum_ in sums.items()), lambda row: row[4])}


def wakeups(b: Bcc) -> dict[str, Any]:
    rows = [
        [name_of(key.waker.text), name_of(key.woken.text), *values(sum_)]
        for key, sum_ in b["pairs"].items()
    ]
    return {"pairs": largest(rows, lambda row: row[5])}


def oncpu(b: Bcc) -> dict[str, Any]:
    kernel_told = any(b"0000000000000000" not in line for line in first_symbols())
    rows: dict[Any, int] = {}
    found = sorted(b["places"].items(), key=lambda item: -item[1].value)
    unread: set[int] = set()
    for number, (place, count) in enumerate(found):
        kernel = bool(place.address >> 63)
        function, module = "", "kernel" if kernel else ""
        if number < MOST_ADDRESSES:
            if kernel and kernel_told:
                function = b.ksym(place.address).decode("utf-8", "replace")
            elif not kernel and os.access(f"/proc/{place.process}/maps", os.R_OK):
                function, module = user_function(b, place, unread)
        row = (name_of(place.name.text), function, module, kernel)
        rows[row] = rows.get(row, 0) + int(count.value)
    return {
        "places": largest(([*row, count] for row, count in rows.items()), lambda row: row[4]),
        "kernel_told": kernel_told,
        "unread": len(unread),
        "hertz": HERTZ,
    }


def first_symbols() -> list[bytes]:
    try:
        with Path("/proc/kallsyms").open("rb") as file:
            return [file.readline() for _ in range(3)]
    except OSError:
        return []


def user_function(b: Bcc, place: Bcc, unread: set[int]) -> tuple[str, str]:
    try:
        with Path(f"/proc/{place.process}/maps").open("rb") as file:
            file.read(1)
    except OSError:
        # It belongs to another user, or is gone.
        unread.add(place.process)
        return "", ""
    text = b.sym(place.address, place.process, show_module=True).decode("utf-8", "replace")
    function, _, module = text.rpartition(" [")
    return function if function != "[unknown]" else "", module.rstrip("]")


def syscalls(b: Bcc) -> dict[str, Any]:
    rows = [[call_name(key.value), *values(sum_)] for key, sum_ in b["sums"].items()]
    return {"calls": largest(rows, lambda row: row[2])}


def futex(b: Bcc) -> dict[str, Any]:
    waiters: dict[tuple[int, int], int] = {}
    for key in b["waiters"]:
        lock = (key.lock.process, key.lock.address)
        waiters[lock] = waiters.get(lock, 0) + 1
    rows = [
        [
            name_of(of.name.text),
            int(key.process),
            waiters.get((key.process, key.address), 0),
            *values(of.sum),
        ]
        for key, of in b["locks"].items()
    ]
    return {
        "locks": largest(rows, lambda row: row[4]),
        "lengths": histogram(b["lengths"]),
        "wakes": int(b["wakes"][0].value),
    }


def counted(b: Bcc) -> tuple[list[int], list[int]]:
    """Calls by length, and their number, sum and the longest since the last request."""
    sums, longest = b["totals"][0], b["longest_ns"]
    found = [int(sums.count), int(sums.total_ns), int(longest[0].value)]
    longest[longest.Key(0)] = longest.Leaf(0)
    return [int(each.value) for each in b["lengths"].values()], found


def chains(b: Bcc) -> dict[str, Any]:
    paths = [
        [
            [name_of(each.text) for each in list(path.names)[: path.links]],
            int(path.links),
            bool(path.cut),
            *values(sum_),
        ]
        for path, sum_ in b["paths"].items()
    ]
    roots = [[name_of(name.text), *values(sum_)] for name, sum_ in b["roots"].items()]
    return {
        "paths": largest(paths, lambda row: row[4]),
        "roots": largest(roots, lambda row: row[2]),
        "chain_times": histogram(b["times"]),
        "links": [int(each.value) for each in b["links"].values()],
        "cut": int(b["cut"][0].value),
        "alone": int(b["alone"][0].value),
    }


def preempted_locks(b: Bcc) -> dict[str, Any]:
    rows = [
        [
            name_of(name.text),
            *(int(getattr(of.held, each)) for each in ("count", "total_ns", "more")),
            *(int(getattr(of.lost, each)) for each in ("count", "total_ns", "max_ns")),
        ]
        for name, of in b["holders"].items()
    ]
    others = b["waits_of_others"]
    return {
        "holders": largest(rows, lambda row: row[5]),
        "lost_lengths": histogram(b["lengths"]),
        "others": [int(others[0].value), int(others[1].value)],
    }


READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    each.__name__.replace("_", "-"): each
    for each in (runqlat, offcpu, wakeups, oncpu, syscalls, futex, chains, preempted_locks)
}


def end_with_input() -> None:
    os.read(0, 1)
    os._exit(3)


# bpf(2), as of Linux 6.6: attaches a program at several places of a file, without a perf event for
# each.
BPF_LINK_CREATE, BPF_TRACE_UPROBE_MULTI, UPROBE_MULTI_RETURN = 28, 48, 1
BPF_CALL = {"x86_64": 321}.get(os.uname().machine, 280)


def attach(b: Bcc, function: str, file: str, places: list[list[int]], back: bool) -> None:
    """Run `function` at each place (offset, counter), or when the functions there return.

    Lasts until this process ends.
    """
    program = b.load_func(function, b.KPROBE, attach_type=BPF_TRACE_UPROBE_MULTI)
    path = ctypes.create_string_buffer(file.encode("utf-8", "surrogateescape"))
    offsets = (ctypes.c_uint64 * len(places))(*(offset for offset, _ in places))
    counters = (ctypes.c_uint64 * len(places))(*(counter for _, counter in places))
    guarded = ctypes.addressof(counters) if any(counters) else 0
    request = struct.pack(
        "IIIIQQQQIIII",
        *(program.fd, 0, BPF_TRACE_UPROBE_MULTI, 0),
        *(ctypes.addressof(path), ctypes.addressof(offsets), guarded, 0),
        *(len(places), UPROBE_MULTI_RETURN if back else 0, 0, 0),
    )
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(request, len(request))
    if libc.syscall(BPF_CALL, BPF_LINK_CREATE, buffer, len(request)) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"the kernel refuses the probe: {os.strerror(error)}")


def count_calls(b: Bcc, wanted: dict[str, Any]) -> None:
    """Answer each line with the calls since the previous one; end with the input."""
    attach(b, "leave", wanted["path"], wanted["leave"], bool(wanted["returns"]))
    attach(b, "enter", wanted["path"], wanted["enter"], False)
    print(json.dumps({"started": True}), flush=True)
    began = time.monotonic()
    lengths, totals = counted(b)
    lost = int(b["lost"][0].value)
    for _ in sys.stdin:
        signal.alarm(int(wanted["seconds"]) + SPARE_S)
        before = (lengths, totals, lost)
        now = time.monotonic()
        lengths, totals = counted(b)
        lost = int(b["lost"][0].value)
        calls = {
            "count": totals[0] - before[1][0],
            "total_ns": totals[1] - before[1][1],
            "max_ns": totals[2],
            "lost": lost - before[2],
            "lengths": [
                [place, count - earlier]
                for place, (count, earlier) in enumerate(zip(lengths, before[0], strict=True))
                if count > earlier
            ],
        }
        print(json.dumps({"seconds": now - began, "calls": calls}), flush=True)
        began = now
    os._exit(0)


def flags(wanted: dict[str, Any]) -> list[str]:
    numbers = {
        "WHOSE": wanted.get("whose", 0),
        "CGROUP": wanted.get("cgroup", 0),
        "NAME_LOW": wanted.get("name_low", 0),
        "NAME_HIGH": wanted.get("name_high", 0),
        "FUTEX": wanted.get("futex", 0),
        "NESTED": wanted.get("nested", 0),
    }
    return [f"-D{name}={int(value)}ULL" for name, value in numbers.items()]


def main() -> None:
    wanted = json.loads(sys.stdin.readline())
    kind = wanted["kind"]
    signal.alarm(int(wanted["seconds"]) + SPARE_S)
    if kind != "calls":
        threading.Thread(target=end_with_input, daemon=True).start()
    from bcc import BPF  # type: ignore[import-not-found]  # slow, and missing on many machines

    place = Path(wanted["place"])
    text = "".join((place / name).read_text() for name in ("common.c", f"{kind}.c"))
    b = BPF(text=text, cflags=flags(wanted))
    if kind == "calls":
        count_calls(b, wanted)
    for process in wanted["processes"]:
        b["processes"][b["processes"].Key(process)] = b["processes"].Leaf(1)
    if kind == "oncpu":
        b.attach_perf_event(
            ev_type=PERF_TYPE_SOFTWARE,
            ev_config=PERF_COUNT_SW_CPU_CLOCK,
            fn_name="sample",
            sample_freq=HERTZ,
        )
    print(json.dumps({"started": True}), flush=True)
    began = time.monotonic()
    time.sleep(wanted["seconds"])
    seconds = time.monotonic() - began
    found = READERS[kind](b)
    found["lost"] = int(b["lost"][0].value)
    print(json.dumps({"seconds": seconds, "found": found}), flush=True)
    # Freeing the maps piece by piece takes seconds; the kernel does it at exit.
    os._exit(0)


if __name__ == "__main__":
    main()
