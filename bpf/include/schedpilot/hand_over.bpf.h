/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moves the tasks of a CPU that goes offline.
 *
 * A CPU that goes offline no longer asks dispatch() for work, and waits until the tasks on
 * its run queue are gone, including those that may run nowhere else. The kernel's own global
 * queue is still served there, so they leave through it: call this in cpu_offline() for each
 * queue.
 */
#ifndef SCHEDPILOT_HAND_OVER_BPF_H
#define SCHEDPILOT_HAND_OVER_BPF_H

#include <scx/common.bpf.h>

/* Move the tasks of `queue` that wait on `cpu` to the kernel's own global queue. */
static void hand_over(u64 queue, s32 cpu)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, queue, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0);
	}
}

#endif
