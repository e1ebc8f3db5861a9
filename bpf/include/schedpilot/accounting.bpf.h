/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who ran how long, as ready callbacks: a task is weighed in when it can run and out when it
 * sleeps, and its virtual time advances when it stops running. Its control group is told of
 * all that as well. They are for schedulers that measure nothing else. Name all five in
 * SCX_OPS_DEFINE.
 *
 * Define before: `struct task_ctx`, as <schedpilot/virtual_time.bpf.h> wants it, and with
 *
 *	u64 started_at; when it last began to run, ns; 0 while it does not
 */
#ifndef SCHEDPILOT_ACCOUNTING_BPF_H
#define SCHEDPILOT_ACCOUNTING_BPF_H

#include <schedpilot/cgroup_hold.bpf.h>
#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/virtual_time.bpf.h>

void BPF_STRUCT_OPS(account_runnable, struct task_struct *p, u64 enq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (!t->counted) {
		follow(t, llc_of_task(p));
		weigh_in(t, p->scx.weight);
	}
	group_runnable(p, t);
}

void BPF_STRUCT_OPS(account_quiescent, struct task_struct *p, u64 deq_flags)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	weigh_out(t);
	group_quiescent(t);
}

void BPF_STRUCT_OPS(account_running, struct task_struct *p)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	follow(t, llc_of_task(p));
	t->started_at = scx_bpf_now();
	group_runs(p, t, t->started_at);
}

void BPF_STRUCT_OPS(account_stopping, struct task_struct *p, bool runnable)
{
	struct task_ctx *t = ctx_of(p);
	u64 now = scx_bpf_now();

	if (!t || !t->started_at)
		return;
	advance(t, now - t->started_at, p->scx.weight);
	group_stops(t, now);
	t->started_at = 0;
}

s32 BPF_STRUCT_OPS(account_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct task_ctx *t = new_ctx(p);

	if (!t)
		return -ENOMEM;
	start_at_clock(t, llc_of_task(p));
	group_joins(t, args);
	return 0;
}

#endif
