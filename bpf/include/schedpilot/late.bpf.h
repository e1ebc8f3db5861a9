/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that have waited too long.
 *
 * An order bounds waits only while the number of runnable tasks stays the same. So tasks that
 * have waited too long move to the kernel's own global queue, which every CPU that may run
 * them serves before all others.
 *
 * Define before: `struct task_ctx` with `u64 queued_at`, when it began to wait, ns; and the
 * counter STAT_LATE.
 */
#ifndef SCHEDPILOT_LATE_BPF_H
#define SCHEDPILOT_LATE_BPF_H

#include <schedpilot/counters.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/timing.bpf.h>

/* At most this many at one look, so that a look stays short. */
#define LATE_AT_ONCE 32

/* Serve tasks that have waited in `queue` for `wait` ns, with this slice, ns; 0: their own. */
static void serve_late(u64 queue, u64 wait, u64 slice, u64 now)
{
	struct task_struct *p;
	struct task_ctx *t;
	u32 served = 0;

	bpf_for_each (scx_dsq, p, queue, 0) {
		t = ctx_of(p);
		if (!t || before(now, t->queued_at + wait))
			continue;
		if (slice)
			scx_bpf_dsq_move_set_slice(BPF_FOR_EACH_ITER, slice);
		if (!scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_GLOBAL, 0))
			continue;
		count(STAT_LATE);
		if (++served >= LATE_AT_ONCE)
			break;
	}
}

#endif
