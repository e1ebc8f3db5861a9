# SPDX-License-Identifier: GPL-2.0-or-later
"""Run-queue delay by command name, measured the way BCC's `runqlat` does it.

What `schedpilot-signals` is compared with: wakeups are stamped in a hash by thread id, and the
stamp is looked up when the thread gets a CPU. It keeps one log2 histogram a command name,
which is less than what `schedpilot-signals` keeps.

The system's own python3 runs it (BCC is a Debian package). It works line by line, so that one
compilation serves many rounds. It prints `ready`. For each `attach` or `detach` on standard input
it does so and prints the same word. It ends with its input.
"""

import sys

from bcc import BPF  # type: ignore[import-not-found,unused-ignore]

PROGRAM = r"""
#include <linux/sched.h>

struct bucket {
    char comm[TASK_COMM_LEN];
    u64 slot;
};

BPF_HASH(queued, u32);
BPF_HISTOGRAM(delays, struct bucket);

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
    struct bucket bucket = {};
    unsigned int state;
    u64 *since;
    u32 tid;

    bpf_probe_read_kernel(&state, sizeof(state), &prev->__state);
    if (state == 0) {
        bpf_probe_read_kernel(&tid, sizeof(tid), &prev->pid);
        enqueue(tid);
    }
    bpf_probe_read_kernel(&tid, sizeof(tid), &next->pid);
    since = queued.lookup(&tid);
    if (!since)
        return 0;
    bucket.slot = bpf_log2l((bpf_ktime_get_ns() - *since) / 1000);
    bpf_probe_read_kernel_str(&bucket.comm, sizeof(bucket.comm), next->comm);
    delays.increment(bucket);
    queued.delete(&tid);
    return 0;
}
"""

HOOKS = (
    ("sched_wakeup", "on_wakeup"),
    ("sched_wakeup_new", "on_wakeup"),
    ("sched_switch", "on_switch"),
)


def main() -> None:
    """Obey the lines of standard input until it ends."""
    bpf = BPF(text=PROGRAM)
    for _, function in HOOKS:
        bpf.load_func(function, BPF.RAW_TRACEPOINT)
    print("ready", flush=True)
    for line in sys.stdin:
        word = line.strip()
        for tracepoint, function in HOOKS:
            if word == "attach":
                bpf.attach_raw_tracepoint(tp=tracepoint, fn_name=function)
            elif word == "detach":
                bpf.detach_raw_tracepoint(tp=tracepoint)
        if word == "detach":
            word += f" {sum(count.value for count in bpf['delays'].values())}"
            bpf["delays"].clear()
        print(word, flush=True)


main()
