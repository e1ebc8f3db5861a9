/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue, for each LLC, ordered by virtual time, as ready callbacks: all but dispatch(), in
 * which one scheduler differs from another.
 *
 * A task that wakes while a CPU it may use is idle starts there at once. Every other task
 * waits in the queue of the LLC where it last ran, and the one that is furthest behind runs
 * next.
 *
 * Define before:
 *
 *	QUEUE         the queue's number
 *	slice_ns      the slice of a task while few wait, ns
 *	min_slice_ns  no slice is shorter, however many wait, ns
 *	max_wait_ns   no task should wait much longer than this, ns
 *	credit_ns     a task that slept may be at most this far behind the clock, ns
 *	STAT_DIRECT, STAT_QUEUED, STAT_KTHREAD, STAT_CAPPED, STAT_LATE
 *
 * and `struct task_ctx`, as <schedpilot/accounting.bpf.h> wants it, and with
 *
 *	u64 queued_at; when it began to wait, ns
 */
#ifndef SCHEDPILOT_VTIME_QUEUE_BPF_H
#define SCHEDPILOT_VTIME_QUEUE_BPF_H

#include <schedpilot/accounting.bpf.h>
#include <schedpilot/balance.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/late.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/slices.bpf.h>

static u64 slice_for(u32 llc)
{
	u64 fit = fitting_slice(max_wait_ns, scx_bpf_dsq_nr_queued(queue_in(QUEUE, llc)), llc);

	return bounded_slice(slice_ns, fit, min_slice_ns);
}

/* The task's place in the queue of an LLC: its virtual time, brought within bounds of the clock. */
static u64 place_in(u32 llc, struct task_ctx *t)
{
	follow(t, llc);
	if (settle(t, credit_ns, reach(llc, max_wait_ns)))
		count(STAT_CAPPED);
	return t->vtime;
}

s32 BPF_STRUCT_OPS(queue_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = select_idle_cpu(p, prev_cpu, wake_flags, &idle);
	struct task_ctx *t;
	u32 llc;

	if (!idle)
		return cpu;
	t = ctx_of(p);
	if (t && may_start(p, t)) {
		llc = llc_of(cpu);
		place_in(llc, t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(llc), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(queue_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);
	u32 llc = llc_of_task(p);
	u64 dsq = queue_in(QUEUE, llc);

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(llc), enq_flags);
		return;
	}
	if (!t) {
		scx_bpf_dsq_insert_vtime(p, dsq, slice_for(llc), llc_at(llc)->clock, enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queued_at = scx_bpf_now();
	count(STAT_QUEUED);
	scx_bpf_dsq_insert_vtime(p, dsq, slice_for(llc), place_in(llc, t), enq_flags);
	wake_idle_cpu(p);
}

static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t, u32 llc)
{
	scx_bpf_dsq_move_set_slice(it, slice_for(llc));
	scx_bpf_dsq_move_set_vtime(it, place_in(llc, t));
	scx_bpf_dsq_move_vtime(it, p, queue_in(QUEUE, llc), 0);
}

static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	return gains_weight(mine, other, t, beside);
}

/* In dispatch(), first. */
static void look(s32 cpu, u64 now)
{
	u32 llc = llc_of(cpu);

	if (!look_due(llc, now, LOOK_NS))
		return;
	serve_late(QUEUE, max_wait_ns, 0, now, cpu);
	balance(QUEUE, llc, cpu);
}

/*
 * At the end of dispatch(): the first that this CPU may run, or `prev` goes on; `may_stay` is
 * `prev` unless its control group is held.
 */
static void serve(s32 cpu, struct task_struct *prev, struct task_struct *may_stay, u64 now)
{
	struct task_ctx *t;
	u32 llc = llc_of(cpu);

	if (take_first(QUEUE, llc))
		return;
	t = may_stay && (may_stay->scx.flags & SCX_TASK_QUEUED) ? ctx_of(may_stay) : NULL;
	if (t)
		balance_lone(QUEUE, llc, cpu, counted_weight(t), now);
	else if (nr_llcs > 1 && steal(QUEUE, llc))
		return;
	last_resort(prev, slice_for(llc));
}

void BPF_STRUCT_OPS(queue_cpu_online, s32 cpu)
{
	cpu_comes(cpu);
}

void BPF_STRUCT_OPS(queue_cpu_offline, s32 cpu)
{
	cpu_goes(cpu);
	hand_over_all(QUEUE, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(queue_init)
{
	s32 error = llcs_init();

	if (!error)
		error = groups_init();
	return error ? error : create_queues(QUEUE);
}

#endif
