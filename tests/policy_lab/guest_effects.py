# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: plays what each policy of the cookbook promises; test_effects_lab.py judges
it.

    python -m tests.policy_lab.guest_effects [SCENE...]

Prints one JSON line for each scene. CPU time, context switches, delays and the CPU of each process
come from /proc, and ends of jobs from wait4(): nothing comes from our own counters.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from process import Fault
from tests.policy_lab.held import Held, held, index

Seen = dict[str, Any]
Play = Callable[["Scene", dict[str, Any]], Awaitable[Seen]]

# Programs under names of our own. The guest is ours alone.
PLACE = Path("/var/tmp/policy-lab")  # noqa: S108
CPUS = os.cpu_count() or 1
# Seconds from the start of the load to the first measurement.
SETTLE_S = 0.7
LOOK_S = 0.1

BUSY = "echo $$; while :; do :; done"
# This many processes that run and sleep in turns, for so many seconds. They fork, because Python
# takes long to start under emulation.
BURSTS = """
import os, sys, time
open("/proc/self/comm", "w").write(sys.argv[1])
count, run, sleep = int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
pids = [os.getpid()]
while len(pids) < count:
    pid = os.fork()
    if not pid:
        break
    pids.append(pid)
else:
    print(*pids, flush=True)
while True:
    end = time.thread_time() + run
    while time.thread_time() < end:
        pass
    time.sleep(sleep)
"""


@dataclass(frozen=True)
class Group:
    """Equal processes. `bursts` are (run, sleep) in seconds; None never sleeps.

    All of them match the selector's `field`, as the daemon would report it.
    """

    name: str
    count: int
    nice: int = 0
    user: int = 0
    policy: int = os.SCHED_OTHER
    bursts: tuple[float, float] | None = None
    field: str = ""


@dataclass(frozen=True)
class Scene:
    """A policy line and its load: by default, its groups work for `seconds`.

    After that, each setting of `then` is made while they go on, and they are measured once more.
    """

    line: str
    groups: tuple[Group, ...] = ()
    seconds: float = 4.0
    then: Mapping[str, int] = field(default_factory=dict)
    play: Play | None = None


# ------------------------------------------------------------------ processes


def named(program: str, name: str) -> Path:
    """A copy of a system program under another name."""
    path = PLACE / name
    if not path.exists():
        shutil.copy2(f"/usr/bin/{program}", path)
    return path


def start(group: Group) -> list["subprocess.Popen[bytes]"]:
    """Start the processes of a group; each prints a line once it works."""

    def become() -> None:
        if group.policy != os.SCHED_OTHER:
            os.sched_setscheduler(0, group.policy, os.sched_param(0))
        os.nice(group.nice)
        if group.user:
            os.setuid(group.user)

    if group.bursts is None:
        words = [str(named("dash", group.name)), "-c", BUSY]
    else:
        numbers = map(str, (group.count, *group.bursts))
        words = [sys.executable, "-I", "-S", "-c", BURSTS, group.name, *numbers]
    return [
        subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            preexec_fn=become,
            start_new_session=True,
        )
        for _ in range(1 if group.bursts else group.count)
    ]


@contextlib.contextmanager
def at_work(groups: Sequence[Group]) -> Iterator[dict[str, list[int]]]:
    """Run the groups: their process ids."""
    started: list[subprocess.Popen[bytes]] = []
    pids: dict[str, list[int]] = {}
    try:
        for group in groups:
            processes = start(group)
            started += processes
            pids[group.name] = []
            for process in processes:
                assert process.stdout is not None
                said = process.stdout.readline().split()
                pids[group.name] += map(int, said)
        yield pids
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGKILL)
        for process in started:
            process.wait()


# ------------------------------------------------------------------ looking


def cpu_s(pid: int) -> float:
    """The CPU time that it has had (include/linux/sched.h: sum_exec_runtime)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def interrupted(pid: int) -> int:
    """How often it had to leave a CPU although it wanted to continue."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("nonvoluntary_ctxt_switches:")[2].split()[0])


def cpu_of(pid: int) -> int:
    """The CPU on which it runs or last ran (proc_pid_stat(5), field 39)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[36])


async def look(pids: dict[str, list[int]], seconds: float) -> Seen:
    """What the groups get in this time. `moves` is the share of readings that find it on another
    CPU."""
    everybody = [pid for group in pids.values() for pid in group]
    began = time.monotonic()
    before = {pid: (cpu_s(pid), interrupted(pid)) for pid in everybody}
    places: dict[int, list[int]] = {pid: [] for pid in everybody}
    while time.monotonic() - began < seconds:
        await asyncio.sleep(LOOK_S)
        for pid in everybody:
            places[pid].append(cpu_of(pid))
    had = {pid: cpu_s(pid) - before[pid][0] for pid in everybody}
    machine = (time.monotonic() - began) * CPUS
    seen: Seen = {"machine_s": round(machine, 3)}
    for name, group in pids.items():
        cpu = sum(had[pid] for pid in group)
        switches = sum(interrupted(pid) - before[pid][1] for pid in group)
        moves = [
            a != b for pid in group for a, b in zip(places[pid], places[pid][1:], strict=False)
        ]
        seen[name] = {
            "cpu_s": round(cpu, 3),
            "each_s": [round(had[pid], 3) for pid in group],
            "interrupted": round(switches / cpu, 1) if cpu else 0.0,
            "cpus": sorted({place for pid in group for place in places[pid]}),
            "moves": round(sum(moves) / len(moves), 3),
        }
    return seen


# ------------------------------------------------------------------ plays


async def together(scene: Scene, policy: dict[str, Any]) -> Seen:
    """The groups side by side, and once more after each change."""
    async with held(policy) as running:
        with at_work(scene.groups) as pids:
            for group in scene.groups:
                if group.field:
                    await running.select(group.field, pids[group.name])
            await asyncio.sleep(SETTLE_S)
            seen: Seen = {"looks": [await look(pids, scene.seconds)]}
            for name, value in scene.then.items():
                await running.runner.set(name, value)
                await asyncio.sleep(SETTLE_S)
                seen["looks"].append(await look(pids, scene.seconds))
    return {**seen, "trouble": running.trouble}


async def crowd(scene: Scene, policy: dict[str, Any]) -> Seen:
    """One group after another, each alone."""
    looks = []
    async with held(policy) as running:
        for group in scene.groups:
            with at_work([group]) as pids:
                await asyncio.sleep(SETTLE_S)
                looks.append(await look(pids, scene.seconds))
    return {"looks": looks, "trouble": running.trouble}


# Wakeups of a service in one turn, and how often the two arms alternate, there and back.
WAKEUPS, TURNS = 250, 2
# Wakeups before the count begins: behaviour has to be seen first, after the interpreter's long
# start. Each moves the averages by a quarter.
UNSEEN = 100
# The kernel's own figure for how long this thread waited for a CPU (sched_info.run_delay), after
# each sleep: the timer of an emulated machine is late for its own reasons.
SERVICE = """
import sys, time
open("/proc/self/comm", "w").write("service")
account = open("/proc/thread-self/schedstat")
def waited():
    account.seek(0)
    return int(account.read().split()[1])
print("ready", flush=True)
sys.stdin.readline()
delays = []
for _ in range(int(sys.argv[1])):
    before = waited()
    time.sleep(0.004)
    delays.append(waited() - before)
print(*delays[int(sys.argv[2]):])
"""


async def wakeup_delays(groups: Sequence[Group]) -> list[int]:
    """How long a service that sleeps in turns waited each time it woke among the groups, us."""
    words = [sys.executable, "-I", "-S", "-c", SERVICE, str(UNSEEN + WAKEUPS), str(UNSEEN)]
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe)
    assert child.stdout is not None
    await child.stdout.readline()
    with at_work(groups):
        said, _ = await child.communicate(b"go\n")
    return [int(each) // 1000 for each in said.split()]


async def service(scene: Scene, policy: dict[str, Any]) -> Seen:
    """A service that wakes up among the groups: without the policy, with it, with it, without."""
    arms: dict[str, list[list[int]]] = {"default": [], "policy": []}
    trouble: list[str] = []
    for arm in ("default", "policy", "policy", "default") * TURNS:
        if arm == "default":
            arms[arm].append(await wakeup_delays(scene.groups))
        else:
            async with held(policy) as running:
                arms[arm].append(await wakeup_delays(scene.groups))
            trouble += running.trouble
    return {"delays_us": arms, "trouble": trouble}


# The long job takes this many times as long as a short one.
LONG, SHORT_JOBS = 6, 9
JOB = "kill -STOP $$; i=0; while [ $i -lt {turns} ]; do i=$((i+1)); done"
# Approximate CPU time of a short job.
SHORT_S = 0.3


def job(turns: int) -> "subprocess.Popen[bytes]":
    """A job that has stopped before its first turn."""
    process = subprocess.Popen(["/bin/dash", "-c", JOB.format(turns=turns)])
    os.waitpid(process.pid, os.WUNTRACED)
    return process


def turns_of(seconds: float) -> int:
    """How many turns take this much CPU time."""
    turns = 20_000
    process = job(turns)
    os.kill(process.pid, signal.SIGCONT)
    used = os.wait4(process.pid, 0)[2].ru_utime
    return round(turns * seconds / max(used, 0.01))


async def batch(turns: int, policy: Held | None) -> Seen:
    """All jobs at once; the end of each, and its CPU time."""
    sizes = [1] * (SHORT_JOBS // 2) + [LONG] + [1] * (SHORT_JOBS - SHORT_JOBS // 2)
    jobs = [(size, job(size * turns)) for size in sizes]
    if policy:
        await policy.expect({each.pid: round(size * SHORT_S * 1e9) for size, each in jobs})
    began = time.monotonic()
    for _, each in jobs:
        os.kill(each.pid, signal.SIGCONT)
    by_pid = {each.pid: size for size, each in jobs}
    ends: list[tuple[int, float, float]] = []
    for _ in jobs:
        # By group: the runner and asyncio's child are children, too.
        pid, used = await asyncio.to_thread(_next_end, list(by_pid))
        size = by_pid.pop(pid)
        ends.append((size, round(time.monotonic() - began, 3), round(used, 3)))
    return {"ends": ends}


def _next_end(pids: list[int]) -> tuple[int, float]:
    """The process that ends next, and its CPU time."""
    while True:
        for pid in pids:
            found, _, used = os.wait4(pid, os.WNOHANG)
            if found:
                return pid, used.ru_utime + used.ru_stime
        time.sleep(0.005)


async def jobs(scene: Scene, policy: dict[str, Any]) -> Seen:
    """The batch without the policy, with it, with it, without."""
    turns = turns_of(SHORT_S)
    seen: Seen = {"default": [], "policy": [], "trouble": []}
    for arm in ("default", "policy", "policy", "default"):
        if arm == "default":
            seen[arm].append(await batch(turns, None))
        else:
            async with held(policy) as running:
                seen[arm].append(await batch(turns, running))
            seen["trouble"] += running.trouble
    return seen


# ------------------------------------------------------------------ scenes

HOGS, OTHERS = Group("hog", 4), Group("other", 4)
# It never runs for long, and a few of these want more CPU time than exists, even if the host delays
# a CPU with all its timers.
BRIEF = (0.004, 0.002)

SCENES: dict[str, Scene] = {
    "slice": Scene(
        "slice 3ms", (Group("usual", 2), Group("nicer", 2, nice=5)), then={"slice_ns": 20_000_000}
    ),
    "long_slice": Scene("slice 20ms", (HOGS,)),
    "slice_by_load": Scene(
        "order vtime; slice clamp(wait / 4, 500us, 8ms)",
        (Group("few", 4), Group("many", 16)),
        play=crowd,
    ),
    "fifo": Scene("order fifo; slice 5ms", (Group("usual", 2), Group("nicer", 2, nice=5))),
    "compilers": Scene(
        'comm ~ "cc1*|ld|rustc" { slice 20ms; order fifo }; * { slice 3ms }',
        (Group("cc1plus", 2), OTHERS),
    ),
    "service": Scene(
        'comm ~ "service*" { latency; preempt; slice 1ms }', (Group("hog", 8),), play=service
    ),
    "service_by_behaviour": Scene(
        "avg_run < 2ms and wakeups > 20 { latency; preempt; slice 1ms }",
        (Group("hog", 8),),
        play=service,
    ),
    "nice_idle": Scene("nice > 5 { idle }", (Group("hog", 4, nice=10), OTHERS), 5),
    "share_at_most": Scene(
        'comm ~ "hog*" { share <= 20% }', (HOGS, OTHERS), 8, then={"rule1_share_percent": 50}
    ),
    "share_at_least": Scene('comm ~ "hog*" { share >= 60% }', (HOGS, OTHERS), 8),
    "weight": Scene('comm ~ "hog*" { weight 300 }', (HOGS, OTHERS), 5, then={"rule1_weight": 100}),
    "cpus": Scene('comm ~ "hog*" { cpus 0 }', (HOGS, OTHERS)),
    "fast_and_slow": Scene(
        'comm ~ "hog*" { cpus slow; smt avoid }; * { cpus fast }', (Group("hog", 2),)
    ),
    "longest_first": Scene("order by expected_runtime desc; slice 10ms", play=jobs),
    "shortest_first": Scene("order by expected_runtime; slice 10ms", play=jobs),
    "briefest_first": Scene("order by avg_run", (Group("brief", 8, bursts=BRIEF), HOGS)),
    "nice_first": Scene(
        "order by if(nice < 0, 10s, wait) desc", (Group("asked", 1, nice=-1), OTHERS), 5
    ),
    "never_sleeps": Scene(
        "cpu_share > 80% { idle; slice 20ms }; * { latency }",
        (Group("brief", 16, bursts=BRIEF), HOGS),
        5,
    ),
    "command_line": Scene(
        'cmd ~ "*--batch*" { idle }; * { preempt; latency }',
        (Group("hog", 4, field="cmd"), OTHERS),
        5,
    ),
    "cgroup": Scene(
        'cgroup ~ "/batch*" { share <= 30% }', (Group("hog", 4, field="cgroup"), OTHERS), 8
    ),
    "user": Scene('user = "nobody" { weight 50 }', (Group("hog", 4, user=65534), OTHERS), 5),
    "local": Scene("local; slice 4ms", (HOGS,)),
    "llc": Scene("llc; slice 4ms", (HOGS,)),
    "sticky": Scene(
        'thread_name ~ "worker*" { sticky }; * { slice 2ms }',
        (Group("worker", 3, bursts=(0.003, 0.009)),),
    ),
    "c_slice": Scene("c slice { return avg_run > ms(1) ? ms(8) : ms(1); }", (HOGS,)),
    "linux_policies": Scene(
        "policy = batch or policy = idle { idle; slice 20ms }; kthread { latency }; "
        "* { slice 3ms }",
        (Group("hog", 4, policy=os.SCHED_BATCH), OTHERS),
        5,
    ),
}


def no_huge_pages() -> None:
    """Keep khugepaged asleep.

    It has nice 19 and holds the lock of some process's memory while it waits for a CPU. Under full
    load
    that process, which may be this one, then waits for tens of seconds, under every scheduler.
    """
    Path("/sys/kernel/mm/transparent_hugepage/enabled").write_text("never")


async def main() -> None:
    # This process observes from above all schedulers; its children are ordinary tasks.
    os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    policies = index()
    for name in sys.argv[1:] or SCENES:
        scene = SCENES[name]
        began = time.monotonic()
        try:
            seen = await (scene.play or together)(scene, policies[scene.line])
        except Fault as fault:
            seen = {"trouble": [fault.report()]}
        except Exception:  # noqa: BLE001 - a defect of one scene, told; the next goes on
            seen = {"trouble": [traceback.format_exc()]}
        seen["took_s"] = round(time.monotonic() - began, 1)
        sys.stdout.write(json.dumps({name: seen}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    PLACE.mkdir(mode=0o755, exist_ok=True)
    no_huge_pages()
    asyncio.run(main())
