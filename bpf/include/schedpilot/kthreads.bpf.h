/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel threads that go first: those bound to one CPU (ksoftirqd, a bound kworker).
 *
 * They run briefly and others wait for them, so enqueue() puts them into the local queue,
 * which is served before every other. This applies only right after a wakeup: one that spins
 * takes its turn like everybody else, or it would keep the CPU for itself.
 */
#ifndef SCHEDPILOT_KTHREADS_BPF_H
#define SCHEDPILOT_KTHREADS_BPF_H

#include <scx/common.bpf.h>

static bool is_woken_kthread(const struct task_struct *p, u64 enq_flags)
{
	return (p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP);
}

#endif
