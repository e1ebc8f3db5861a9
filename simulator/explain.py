# SPDX-License-Identifier: GPL-2.0-or-later
"""Why a scheduler was ejected, and what to change: for the kernel's messages, and the simulator's
own.

The messages are those of kernel/sched/ext/ext.c (kernel/sched/ext.c before 7.2), so the same table
explains the end of a scheduler on a real kernel.
"""

import re
from dataclasses import dataclass

from simulator.run import Ejection, Ended


@dataclass(frozen=True)
class Explanation:
    """The cause and the fix.

    `calls` are functions, and `callbacks` members of the ops, to look at, most likely ones first.
    """

    cause: str
    fix: str
    calls: tuple[str, ...] = ()
    callbacks: tuple[str, ...] = ()


_INSERTS = ("scx_bpf_dsq_insert", "scx_bpf_dsq_insert_vtime", "scx_bpf_dispatch")
_MOVES = ("scx_bpf_dsq_move_to_local", "scx_bpf_consume", "bpf_for_each")
_IN_CALLBACK = re.compile(r"(?:in |from )?ops\.(\w+)\(\)")

# The first match counts.
_MESSAGES: tuple[tuple[str, Explanation], ...] = (
    (
        r"live-lock: \d+ kicks",
        Explanation(
            "each kick leads to the next, or a timer kicks without end: the CPUs do little else",
            "kick where a task was just queued, and one CPU: an idle one (SCX_KICK_IDLE after "
            "scx_bpf_pick_idle_cpu()), or with SCX_KICK_PREEMPT one whose task has run for a "
            "while; never from dispatch or update_idle because there is no work",
            ("scx_bpf_kick_cpu",),
            ("enqueue", "dispatch"),
        ),
    ),
    (
        r"live-lock: \d+ timers",
        Explanation(
            "a timer is started again and again with next to no time between",
            "start it at least 1 ms ahead",
            ("bpf_timer_start", "bpf_wq_start"),
        ),
    ),
    (
        r"already direct-dispatched",
        Explanation(
            "a task is inserted twice in one turn: once in select_cpu or earlier in enqueue, and "
            "again",
            "insert each task once: after an insert return at once, and where select_cpu has "
            "inserted the task, enqueue is not called for it",
            _INSERTS,
            ("enqueue", "select_cpu"),
        ),
    ),
    (
        r"scheduling for .* but trying to direct-dispatch",
        Explanation(
            "select_cpu and enqueue may insert only the task that they are called for",
            "keep other tasks in a queue of your own and move them in dispatch with "
            "scx_bpf_dsq_move_to_local()",
            _INSERTS,
            ("enqueue", "select_cpu"),
        ),
    ),
    (
        r"(non-existent|invalid) DSQ ID 0x8000",
        Explanation(
            "tasks are taken out of a queue of the kernel's own (SCX_DSQ_GLOBAL, SCX_DSQ_LOCAL), "
            "which the kernel serves by itself and lets nobody else take from",
            "leave the call out: before dispatch is called the kernel has looked into both; move "
            "tasks from queues of your own only",
            (*_MOVES, "scx_bpf_dsq_nr_queued"),
            ("dispatch",),
        ),
    ),
    (
        r"attempting to destroy in-use dsq",
        Explanation(
            "a queue is destroyed while tasks are in it, which the kernel refuses",
            "if queues are destroyed with their cgroups, take the queue from the cgroup that a "
            "task is in when it is enqueued, or follow cgroup_move: tasks that are moved are "
            "enqueued anew before the old cgroup goes; else move what is left to another queue "
            "first",
            ("scx_bpf_destroy_dsq",),
            ("cgroup_move", "cgroup_exit", "enqueue"),
        ),
    ),
    (
        r"(non-existent|invalid) DSQ",
        Explanation(
            "a queue is used by an id for which scx_bpf_create_dsq() was never called or failed",
            "create each queue in init (BPF_STRUCT_OPS_SLEEPABLE), return its error, and use the "
            "same id everywhere; for each CPU's queue create one for each of scx_bpf_nr_cpu_ids()",
            (*_INSERTS, *_MOVES),
            ("init", "enqueue", "dispatch"),
        ),
    ),
    (
        r"target CPU \d+ not allowed for|not allowed for",
        Explanation(
            "a task is put into the local queue of a CPU on which its affinity does not let it run",
            "test bpf_cpumask_test_cpu(cpu, p->cpus_ptr) before SCX_DSQ_LOCAL_ON | cpu, else "
            "use SCX_DSQ_GLOBAL or a queue that several CPUs serve; affinity can change while "
            "the task waits",
            (*_INSERTS, "scx_bpf_dsq_move"),
            ("dispatch", "enqueue", "select_cpu"),
        ),
    ),
    (
        r"invalid CPU .*select_cpu",
        Explanation(
            "select_cpu returns a number that is not a CPU of this machine (negative, or too "
            "large)",
            "return prev_cpu if no better CPU was found: scx_bpf_pick_idle_cpu() gives -EBUSY if "
            "none is idle, which may not be returned",
            (),
            ("select_cpu",),
        ),
    ),
    (
        r"invalid CPU",
        Explanation(
            "a function gets a number that is not a CPU of this machine (negative, or too large)",
            "test `cpu >= 0` after scx_bpf_pick_idle_cpu(), and keep loops over CPUs below "
            "scx_bpf_nr_cpu_ids()",
            ("scx_bpf_kick_cpu", *_INSERTS, "scx_bpf_cpuperf_set"),
        ),
    ),
    (
        r"already had (FIFO|PRIQ)-enqueued tasks",
        Explanation(
            "one queue gets tasks by scx_bpf_dsq_insert() and by scx_bpf_dsq_insert_vtime()",
            "use one of the two for a queue, and a second queue for the other kind",
            ("scx_bpf_dsq_insert_vtime", "scx_bpf_dsq_insert"),
        ),
    ),
    (
        r"cannot use vtime ordering for built-in DSQs",
        Explanation(
            "SCX_DSQ_GLOBAL and the local queues are FIFO and take nothing by vtime",
            "create a queue of your own with scx_bpf_create_dsq() for the order by vtime, and "
            "serve it in dispatch",
            ("scx_bpf_dsq_insert_vtime",),
        ),
    ),
    (
        r"SCX_OPS_ENQ_LAST requires",
        Explanation(
            "the flag SCX_OPS_ENQ_LAST is set without an enqueue callback",
            "leave the flag out, or write .enqueue",
        ),
    ),
    (
        r"dispatch buffer overflow",
        Explanation(
            "dispatch inserts more tasks in one call than .dispatch_max_batch (default 32)",
            "stop when scx_bpf_dispatch_nr_slots() is 0, or set .dispatch_max_batch",
            (),
            ("dispatch",),
        ),
    ),
    (
        r"dispatch buffer underflow",
        Explanation(
            "scx_bpf_dispatch_cancel() is called with nothing dispatched in this call",
            "cancel only what was dispatched right before",
            ("scx_bpf_dispatch_cancel",),
        ),
    ),
    (
        r"ops\.init\(\) failed \(-17\)",
        Explanation(
            "a queue is created twice, or by an id that is taken (-EEXIST)",
            "give each queue its own id and create it once in init",
            ("scx_bpf_create_dsq",),
            ("init",),
        ),
    ),
    (
        r"ops\.init\(\) failed",
        Explanation(
            "init returns an error, so the scheduler is never enabled",
            "return 0 from init if all went well; the number is the errno of the failure",
            (),
            ("init",),
        ),
    ),
    (
        r"ops\.init_task\(\) failed",
        Explanation(
            "init_task returns an error, and with that the whole scheduler ends",
            "return 0; -ENOMEM only if the task's storage could not be made",
            (),
            ("init_task",),
        ),
    ),
    (
        r"PREEMPT/WAIT cannot be used with SCX_KICK_IDLE",
        Explanation(
            "SCX_KICK_IDLE is combined with SCX_KICK_PREEMPT or SCX_KICK_WAIT",
            "use one: IDLE wakes a CPU only if it is idle, PREEMPT takes it from its task",
            ("scx_bpf_kick_cpu",),
        ),
    ),
    (
        r"invalid enq_flags",
        Explanation(
            "an insert gets invalid flags, such as a CPU number, a time or a wake flag",
            "pass on the enq_flags of enqueue, or 0; SCX_ENQ_HEAD and SCX_ENQ_PREEMPT may be added",
            _INSERTS,
        ),
    ),
    (
        r"cpuperf target",
        Explanation(
            "scx_bpf_cpuperf_set() gets more than SCX_CPUPERF_ONE (1024)",
            "scale performance to 0..SCX_CPUPERF_ONE",
            ("scx_bpf_cpuperf_set",),
        ),
    ),
    (
        r"built-in idle tracking is disabled",
        Explanation(
            "update_idle is given, which turns the kernel's own idle tracking off, and one of its "
            "functions is called",
            "set SCX_OPS_KEEP_BUILTIN_IDLE in .flags, or leave .update_idle out",
            ("scx_bpf_select_cpu_dfl", "scx_bpf_pick_idle_cpu", "scx_bpf_get_idle_cpumask"),
            ("update_idle",),
        ),
    ),
    (
        r"NULL task",
        Explanation(
            "a function gets a NULL pointer where it expects a task",
            "test what a lookup or an iterator returned before it is used",
        ),
    ),
    (
        r"peek (disallowed|on non-existent)",
        Explanation(
            "scx_bpf_dsq_peek() takes created queues only, not built-in ones",
            "peek into a queue of your own",
            ("scx_bpf_dsq_peek", "__COMPAT_scx_bpf_dsq_peek"),
        ),
    ),
    (
        r"is not allowed in ops\.",
        Explanation(
            "this function works in some callbacks only; the kernel's verifier refuses it here",
            "inserting belongs into select_cpu, enqueue and dispatch; moving from queue to queue "
            "into dispatch; creating queues into init (BPF_STRUCT_OPS_SLEEPABLE)",
        ),
    ),
    (
        r"division by zero",
        Explanation(
            "a divisor is 0 here; in BPF the result is 0, which is never what was meant",
            "test the divisor first: weights, slices and numbers of CPUs or waiting tasks can be 0",
        ),
    ),
    (
        r"invalid memory access",
        Explanation(
            "a pointer is used that is NULL or does not point to the scheduler's own data",
            "test each pointer from a lookup, an iterator or a kfunc before it is used, and each "
            "index against the size of its array",
        ),
    ),
    (
        r"does not end",
        Explanation(
            "a loop goes on for ever; the kernel's verifier refuses it, or the machine hangs in it",
            "give each loop a bound: bpf_for(i, 0, n), bpf_repeat(n)",
        ),
    ),
    (
        r"out of memory|there is no memory",
        Explanation(
            "the scheduler's maps, queues or objects need more memory than a candidate may have",
            "lower .max_entries of the largest map to the possible number of tasks or CPUs, and "
            "destroy or release objects that are created for each task",
            (),
            ("init", "init_task"),
        ),
    ),
    (
        r"failed to run for",
        Explanation(
            "a task was runnable and got no CPU: it is in a queue that nobody serves, or only in a "
            "map, or others always went before it",
            "serve each queue in dispatch on every CPU that may run its tasks, put every task of "
            "enqueue into a queue, and wake an idle CPU with scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE)",
            (),
            ("dispatch", "enqueue"),
        ),
    ),
    (
        r"going (offline|online), exiting scheduler",
        Explanation(
            "the scheduler has no cpu_online and cpu_offline callbacks, so the kernel ejects it "
            "when a CPU comes or goes",
            "write .cpu_online and .cpu_offline (they may be empty if there are no queues for "
            "single CPUs), or accept a restart on hotplug",
        ),
    ),
    (
        r"AddressSanitizer|UndefinedBehaviorSanitizer|runtime error",
        Explanation(
            "the code does what C leaves undefined; the message says what and where",
            "fix the expression at that line",
        ),
    ),
)
_BY_KIND = {
    Ended.BY_ITSELF: Explanation(
        "the scheduler called scx_bpf_exit()",
        "exit only if it is impossible to continue; high load, or an unknown task, is not a reason",
        ("scx_bpf_exit",),
    ),
    Ended.ERROR_BY_ITSELF: Explanation(
        "the scheduler called scx_bpf_error()",
        "find the condition at that line and handle it: put the task into SCX_DSQ_GLOBAL "
        "instead of giving up",
        ("scx_bpf_error",),
    ),
    Ended.NOT_MODELLED: Explanation(
        "the simulator lacks something that this scheduler uses, so it cannot judge it",
        "do without it; docs/simulator.md lists what is modelled",
    ),
    Ended.CRASHED: Explanation(
        "the scheduler's code ended the simulation",
        "look at pointers, indices and divisors in the callback that the message names",
    ),
}
_OBJECT = Explanation(
    "a source defines one scheduler, the one that would be loaded",
    "keep one SCX_OPS_DEFINE(), and put others into their own files",
)
_OTHER = Explanation(
    "the kernel's own checks refused what the scheduler did",
    "the message names the function or the task; see the kernel's sched-ext documentation",
)


def explain(ejection: Ejection) -> Explanation:
    """The cause of an ejection and what to change."""
    if ejection.kind is Ended.NOT_MODELLED and ejection.message.startswith("the object has"):
        return _OBJECT
    if ejection.kind in (Ended.BY_ITSELF, Ended.ERROR_BY_ITSELF, Ended.NOT_MODELLED):
        return _BY_KIND[ejection.kind]
    return explain_message(ejection.message) or _BY_KIND.get(ejection.kind, _OTHER)


def explain_message(message: str) -> Explanation | None:
    """The same for a message alone, as from a real kernel; None if it is unknown."""
    return next((each for words, each in _MESSAGES if re.search(words, message)), None)


def callbacks_in(message: str) -> tuple[str, ...]:
    """The callbacks that a message names."""
    return tuple(dict.fromkeys(_IN_CALLBACK.findall(message)))
