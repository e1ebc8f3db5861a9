# SPDX-License-Identifier: GPL-2.0-or-later
"""An independent measurement of run-queue delay, to check the signals program.

It does not use the kernel's own accounting. It stamps threads when they become runnable (wakeups,
and switches away from a running thread) and reads the stamp when they get a CPU. The system's
python3 (BCC) runs it. It prints `ready`, then for each line of standard input one JSON object,
command name -> {count, sum_us}, with everything measured since the last one.
"""

import json
import sys

from bcc import BPF  # type: ignore[import-not-found,unused-ignore]

PROGRAM = r"""
#include <linux/sched.h>

struct name { char comm[TASK_COMM_LEN]; };
struct sum { u64 count; u64 ns; };

BPF_HASH(queued, u32);
BPF_HASH(sums, struct name, struct sum);

static int enqueue(u32 tid)
{
    u64 now = bpf_ktime_get_ns();

    if (tid)
        queued.update(&tid, &now);
    return 0;
}

int on_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx->args[0];
    u32 tid;

    bpf_probe_read_kernel(&tid, sizeof(tid), &task->pid);
    return enqueue(tid);
}

int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
    struct task_struct *prev = (struct task_struct *)ctx->args[1];
    struct task_struct *next = (struct task_struct *)ctx->args[2];
    struct name name = {};
    struct sum zero = {}, *sum;
    unsigned int state = ctx->args[3];
    u64 *since, waited;
    u32 tid;

    if (state == 0 || ctx->args[0]) {
        bpf_probe_read_kernel(&tid, sizeof(tid), &prev->pid);
        enqueue(tid);
    }
    bpf_probe_read_kernel(&tid, sizeof(tid), &next->pid);
    since = queued.lookup(&tid);
    if (!since)
        return 0;
    waited = bpf_ktime_get_ns() - *since;
    queued.delete(&tid);
    bpf_probe_read_kernel_str(&name.comm, sizeof(name.comm), next->comm);
    sum = sums.lookup_or_try_init(&name, &zero);
    if (!sum)
        return 0;
    __sync_fetch_and_add(&sum->count, 1);
    __sync_fetch_and_add(&sum->ns, waited);
    return 0;
}
"""

HOOKS = (
    ("sched_wakeup", "on_wakeup"),
    ("sched_wakeup_new", "on_wakeup"),
    ("sched_switch", "on_switch"),
)


def main() -> None:
    """Measure until standard input ends."""
    bpf = BPF(text=PROGRAM)
    for tracepoint, function in HOOKS:
        bpf.load_func(function, BPF.RAW_TRACEPOINT)
        bpf.attach_raw_tracepoint(tp=tracepoint, fn_name=function)
    print("ready", flush=True)
    for _ in sys.stdin:
        result = {
            name.comm.decode("utf-8", "replace"): {"count": total.count, "sum_us": total.ns / 1000}
            for name, total in bpf["sums"].items()
        }
        bpf["sums"].clear()
        print(json.dumps(result), flush=True)


main()
