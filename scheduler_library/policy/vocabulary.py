# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of the language: facts of tasks, selectors' fields, functions.

docs/policy-language.md lists them for people; a test compares the two.
"""

from dataclasses import dataclass
from enum import StrEnum

from scheduler_library.policy.syntax import Type


class FieldSource(StrEnum):
    """Who knows the value of a field."""

    KERNEL = "kernel"
    # The daemon resolves it and passes it down in the map `selected`.
    DAEMON = "daemon"
    # Looked up once, when the policy is compiled.
    COMPILER = "compiler"


@dataclass(frozen=True)
class Word:
    """A fact or a field. `c` is the C expression of a number, on a task `p` with `t` of ours."""

    type: Type
    meaning: str
    c: str = ""
    seen: FieldSource = FieldSource.KERNEL


FACTS: dict[str, Word] = {
    "vtime": Word(Type.TIME, "CPU time it has had, as a task of weight 100", "(s64)t->vtime"),
    "wait": Word(Type.TIME, "how long it last waited for a CPU", "(s64)t->wait"),
    "ran": Word(Type.TIME, "CPU time since it last woke up", "(s64)t->ran"),
    "slept": Word(Type.TIME, "how long it last slept", "(s64)t->slept"),
    "avg_run": Word(Type.TIME, "CPU time between two sleeps, on average", "avg_run_of(t)"),
    "avg_sleep": Word(Type.TIME, "length of its sleeps, on average", "(s64)t->avg_sleep"),
    "wakeups": Word(Type.COUNT, "how often it wakes up in a second", "wakeups_of(t)"),
    "expected_runtime": Word(
        Type.TIME, "CPU time that its whole run will take, learned", "(s64)t->expected_runtime"
    ),
    "weight": Word(
        Type.COUNT, "its weight the task's own, from nice; 100 is usual", "(s64)p->scx.weight"
    ),
    "nice": Word(Type.COUNT, "its nice value, -20 to 19", "nice_of(p)"),
    "age": Word(Type.TIME, "time since it was started", "age_of(p)"),
    "cpu_share": Word(Type.RATIO, "part of one CPU that it uses, on average", "cpu_share_of(t)"),
}

FIELDS: dict[str, Word] = {
    "comm": Word(Type.TEXT, "name of the process (of its first thread)"),
    "thread_name": Word(Type.TEXT, "name of the thread"),
    "cmd": Word(Type.TEXT, "the whole command line", seen=FieldSource.DAEMON),
    "cgroup": Word(Type.TEXT, "path of its cgroup", seen=FieldSource.DAEMON),
    "unit": Word(Type.TEXT, "its systemd unit", seen=FieldSource.DAEMON),
    "user": Word(Type.TEXT, "name of its user; = and != only", seen=FieldSource.COMPILER),
    "uid": Word(Type.COUNT, "number of its user", "uid(p)"),
    "pid": Word(Type.COUNT, "number of the thread", "(s64)p->pid"),
    "tgid": Word(Type.COUNT, "number of the process", "(s64)p->tgid"),
    "policy": Word(Type.TEXT, "its scheduling policy: normal, batch, idle or ext"),
    "kthread": Word(Type.TRUTH, "it is a thread of the kernel", "(p->flags & PF_KTHREAD)"),
}

# The kernel keeps this many bytes of a name (TASK_COMM_LEN without the terminating zero).
NAME_BYTES = 15
NAMES = ("comm", "thread_name")

# From include/uapi/linux/sched.h.
POLICIES = {"normal": 0, "batch": 3, "idle": 5, "ext": 7}

# Each function's number of arguments.
FUNCTIONS = {"min": 2, "max": 2, "clamp": 3, "if": 3}

WORDS = FACTS | FIELDS

# Names of facts and fields in other tools, and what to write here.
_NAMED = {
    "comm": ("name", "process", "proc", "process_name", "program", "app", "application", "task"),
    "cmd": (
        "cmdline",
        "command",
        "command_line",
        "args",
        "argv",
        "exe",
        "executable",
        "binary",
        "path",
    ),
    "thread_name": ("thread", "threadname", "tname", "task_name"),
    "unit": ("service", "systemd_unit", "scope", "daemon"),
    "cgroup": (
        "container",
        "docker",
        "pod",
        "podman",
        "cg",
        "control_group",
        "cgrp",
        "cgroup_path",
    ),
    "user": ("username", "owner", "login", "euser", "ruser"),
    "uid": ("euid", "ruid", "user_id", "userid"),
    "kthread": ("kernel", "is_kthread", "kernel_thread", "kworker", "pf_kthread"),
    "pid": ("tid", "thread_id", "task_id"),
    "tgid": ("process_id", "group_leader"),
    "vtime": ("vruntime", "virtual_time", "dsq_vtime"),
    "wait": ("latency", "delay", "wait_time", "waited", "runqlat", "queue_time", "run_delay"),
    "ran": ("run", "runtime", "cpu_time", "sum_exec_runtime", "exec_time"),
    "slept": ("sleep", "sleep_time", "blocked", "idle_time"),
    "avg_run": ("average_run", "burst", "avg_runtime", "run_avg", "burst_time"),
    "avg_sleep": ("average_sleep", "sleep_avg"),
    "wakeups": ("wakes", "wakeup", "wakeup_freq", "wakeup_rate", "wake_freq", "switches"),
    "expected_runtime": ("duration", "job_length", "remaining", "total_time", "expected"),
    "age": ("uptime", "start_time", "elapsed", "lifetime", "etime", "since"),
    "cpu_share": (
        "cpu",
        "cpu_usage",
        "usage",
        "util",
        "utilization",
        "cpu_percent",
        "load",
        "pcpu",
    ),
}
ELSEWHERE = {
    **{word: f"it is called {name!r} here" for name, words in _NAMED.items() for word in words},
    **dict.fromkeys(
        ("priority", "prio", "static_prio", "rt_priority", "rtprio"),
        "write nice (-20 to 19, the higher the less) or weight (100 is usual)",
    ),
    **dict.fromkeys(
        ("gid", "egid", "group", "groups", "groupname"),
        'groups of users are unknown; select by user = "name", uid = 1000 or cgroup ~ "/path*"',
    ),
    **dict.fromkeys(
        ("ppid", "parent", "children", "session", "sid", "pgid", "tty"),
        'a task cannot be selected by its parent; select its cgroup: cgroup ~ "/user.slice/*"',
    ),
    **dict.fromkeys(
        ("state", "status", "running", "runnable"),
        "only runnable tasks are scheduled; avg_run, slept and wakeups describe them",
    ),
    **dict.fromkeys(
        ("memory", "rss", "mem", "io", "iowait", "disk", "net"),
        "only facts about CPU time are known; select by comm, cmd, cgroup or unit",
    ),
    **dict.fromkeys(("sched_policy", "class", "sched_class"), "it is called 'policy' here"),
}

# Other words for the rest.
REST = (
    *("else", "default", "otherwise", "all", "any", "rest", "other", "others", "everything"),
    *("everyone", "everybody", "true", "always", "_"),
)
