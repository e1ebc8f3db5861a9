/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that have waited too long.
 *
 * An order bounds waits only while the number of runnable tasks stays the same. So tasks that
 * have waited too long move to the kernel's own global queue, which every CPU of their node that
 * may run them serves before all others.
 *
 * An LLC whose CPUs do not look, because they are offline or busy with tasks of another
 * scheduling class, is looked after by the others: what has waited too long there moves to them.
 *
 * Define before: `struct task_ctx` with `u64 queued_at`, when it began to wait, ns; and the
 * counter STAT_LATE.
 */
#ifndef SCHEDPILOT_LATE_BPF_H
#define SCHEDPILOT_LATE_BPF_H

#include <schedpilot/counters.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/look.bpf.h>
#include <schedpilot/requeue.bpf.h>
#include <schedpilot/timing.bpf.h>

/* At most this many at one look, so that a look stays short. */
#define LATE_AT_ONCE 32

/*
 * Serve a task that waited too long, in the loop over its queue. Each node has its own part of
 * the global queue; that of the task's last CPU is not served by a CPU of another node.
 */
static bool serve_at_once(struct bpf_iter_scx_dsq *it, struct task_struct *p, s32 cpu)
{
	if (llc_at(llc_of_task(p))->node == llc_at(llc_of(cpu))->node)
		return scx_bpf_dsq_move(it, p, SCX_DSQ_GLOBAL, 0);
	return bpf_cpumask_test_cpu(cpu, p->cpus_ptr) &&
	       scx_bpf_dsq_move(it, p, SCX_DSQ_LOCAL_ON | cpu, 0);
}

/* Serve tasks that have waited in `queue` for `wait` ns, with this slice, ns; 0: their own. */
static void serve_late_in(u64 queue, u64 wait, u64 slice, u64 now, s32 cpu)
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
		if (!serve_at_once(BPF_FOR_EACH_ITER, p, cpu))
			continue;
		count(STAT_LATE);
		if (++served >= LATE_AT_ONCE)
			break;
	}
}

/* Take what this CPU may run of those that have waited for `wait` ns in another LLC. */
static void adopt_late_from(u64 queue, u64 wait, u64 now, s32 cpu)
{
	struct task_struct *p;
	struct task_ctx *t;
	u32 taken = 0;

	bpf_for_each (scx_dsq, p, queue, 0) {
		t = ctx_of(p);
		if (!t || before(now, t->queued_at + wait) ||
		    !bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		requeue(BPF_FOR_EACH_ITER, p, t, llc_of(cpu));
		count(STAT_LATE);
		if (++taken >= LATE_AT_ONCE)
			break;
	}
}

/* Whether the CPUs of an LLC look by themselves. */
static bool looks(u32 llc, u64 now)
{
	return before(now, llc_at(llc)->looked_at + 3 * LOOK_NS);
}

/* At a look: take late tasks of LLCs that do not look by themselves. */
__noinline int adopt_late(u64 queue, u64 wait, u64 now, s32 cpu)
{
	u32 mine = llc_of(cpu), other = llc_at(mine)->searched, i;

	bpf_for (i, 1, nr_llcs) {
		if (i > LLCS_AT_ONCE)
			break;
		other = next_llc(other, mine);
		if (looks(other, now))
			continue;
		adopt_late_from(queue_in(queue, other), wait, now, cpu);
	}
	return 0;
}

/* At a look: serve tasks of `queue` that have waited for `wait` ns. */
__noinline int serve_late(u64 queue, u64 wait, u64 slice, u64 now, s32 cpu)
{
	serve_late_in(queue_in(queue, llc_of(cpu)), wait, slice, now, cpu);
	return nr_llcs > 1 ? adopt_late(queue, wait, now, cpu) : 0;
}

#endif
