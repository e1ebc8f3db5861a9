/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One queue for the whole machine, ordered by virtual time, as ready callbacks: all but
 * dispatch(), in which one scheduler differs from another.
 *
 * A task that wakes while a CPU it may use is idle starts there at once. Every other task
 * waits in the queue, and the one that is furthest behind runs next.
 *
 * Define before:
 *
 *	QUEUE         the queue's number
 *	slice_ns      the slice of a task while few wait, ns
 *	min_slice_ns  no slice is shorter, however many wait, ns
 *	max_wait_ns   no task should wait much longer than this, ns
 *	credit_ns     a task that slept may be at most this far behind the clock, ns
 *	STAT_DIRECT, STAT_QUEUED, STAT_KTHREAD, STAT_CAPPED
 *
 * and `struct task_ctx`, as <schedpilot/accounting.bpf.h> wants it, and with
 *
 *	u64 queued_at; when it began to wait, ns
 */
#ifndef SCHEDPILOT_VTIME_QUEUE_BPF_H
#define SCHEDPILOT_VTIME_QUEUE_BPF_H

#include <schedpilot/accounting.bpf.h>
#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/cgroup_settle.bpf.h>
#include <schedpilot/counters.bpf.h>
#include <schedpilot/hand_over.bpf.h>
#include <schedpilot/idle.bpf.h>
#include <schedpilot/kthreads.bpf.h>
#include <schedpilot/slices.bpf.h>

static u64 slice_for(void)
{
	u64 fit = fitting_slice(max_wait_ns, scx_bpf_dsq_nr_queued(QUEUE));

	return bounded_slice(slice_ns, fit, min_slice_ns);
}

/* The task's place in the queue: its virtual time, brought within bounds of the clock. */
static u64 place_of(struct task_ctx *t)
{
	if (settle(t, credit_ns, reach(max_wait_ns)))
		count(STAT_CAPPED);
	return t->vtime;
}

s32 BPF_STRUCT_OPS(queue_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
	struct task_ctx *t;

	if (!idle)
		return cpu;
	t = ctx_of(p);
	if (t && may_start(p, t)) {
		place_of(t);
		count(STAT_DIRECT);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(), 0);
	}
	return cpu;
}

void BPF_STRUCT_OPS(queue_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (is_woken_kthread(p, enq_flags)) {
		count(STAT_KTHREAD);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_for(), enq_flags);
		return;
	}
	if (!t) {
		scx_bpf_dsq_insert_vtime(p, QUEUE, slice_for(), clock, enq_flags);
		return;
	}
	if (holds(p, t, enq_flags))
		return;
	t->queued_at = scx_bpf_now();
	count(STAT_QUEUED);
	scx_bpf_dsq_insert_vtime(p, QUEUE, slice_for(), place_of(t), enq_flags);
	wake_idle_cpu(p);
}

/* Its group is no longer held. */
static void requeue(struct bpf_iter_scx_dsq *it, struct task_struct *p, struct task_ctx *t)
{
	t->queued_at = scx_bpf_now();
	scx_bpf_dsq_move_set_slice(it, slice_for());
	scx_bpf_dsq_move_set_vtime(it, place_of(t));
	scx_bpf_dsq_move_vtime(it, p, QUEUE, 0);
}

void BPF_STRUCT_OPS(queue_cpu_online, s32 cpu)
{
	__sync_fetch_and_add(&nr_online, 1);
}

void BPF_STRUCT_OPS(queue_cpu_offline, s32 cpu)
{
	__sync_fetch_and_sub(&nr_online, 1);
	hand_over(QUEUE, cpu);
	hand_over_held(cpu);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(queue_init)
{
	s32 error = groups_init();

	count_cpus();
	return error ? error : scx_bpf_create_dsq(QUEUE, -1);
}

#endif
