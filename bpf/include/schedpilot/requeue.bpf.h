/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moving a task that waits, in dispatch(): out of the queue that is being gone through, and into
 * the one that it would join now in this LLC, in its place there.
 *
 * Each scheduler defines it, for its own order: <schedpilot/cgroup_hold.bpf.h> releases tasks
 * with it, <schedpilot/late.bpf.h> and <schedpilot/balance.bpf.h> take them from other LLCs.
 */
#ifndef SCHEDPILOT_REQUEUE_BPF_H
#define SCHEDPILOT_REQUEUE_BPF_H

#include <schedpilot/tasks.bpf.h>

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t,
		    u32 llc);

#endif
