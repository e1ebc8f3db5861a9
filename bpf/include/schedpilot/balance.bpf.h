/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fairness between LLCs that are all busy.
 *
 * At each look an LLC compares its load, for each of its CPUs, with that of one other LLC, the
 * next one each time. It takes a waiting task from there if that would get no less here. Also
 * "no less", and not only "more": where one LLC has to have a task more than another, they pass
 * it to and fro, so that none of them is always the one with less.
 *
 * A CPU whose only task goes on compares by itself: others may wait in its LLC's queue that it
 * may not run, or its neighbours may be busy with one heavy task each.
 *
 * So after n - 1 looks (n LLCs) no waiting task would gain by going elsewhere: shares of equal
 * tasks then differ at any time by at most one task in those of an LLC, (k + 1) / k for k of
 * them, and over seconds by less. tests/simulator/test_llcs.py states by how much.
 *
 * Define before: `struct task_ctx` with
 *
 *	u64 moved_at; when another LLC last took it, ns
 *
 * Define afterwards: requeue() and gains().
 */
#ifndef SCHEDPILOT_BALANCE_BPF_H
#define SCHEDPILOT_BALANCE_BPF_H

#include <schedpilot/llc_queues.bpf.h>
#include <schedpilot/look.bpf.h>
#include <schedpilot/requeue.bpf.h>

/* So many tasks of a queue are looked at for one to take. */
#define LOOKED_THROUGH 16
/* A task that was taken stays for so long, ns: so the next one to move is another. */
#define STAY_NS 250000000

/*
 * Whether a task that waits in the LLC `other` would get no less in `mine`; or with `beside`, where
 * a CPU of `mine` runs only one task, of that weight.
 */
static bool gains(u64 queue, u32 mine, u32 other, const struct task_ctx *t, u64 beside);

/* For gains() where tasks count by number: whether fewer wait here, for each CPU. */
static __maybe_unused bool gains_turn(u64 queue, u32 mine, u32 other, bool lone)
{
	u64 here = scx_bpf_dsq_nr_queued(queue_in(queue, mine));
	u64 there = scx_bpf_dsq_nr_queued(queue_in(queue, other));

	if (lone)
		return there >= llc_at(other)->nr_online;
	return (here + 1) * llc_at(other)->nr_online <= there * online_in(mine);
}

/* Take a task that gains from the LLC whose turn it is. */
static int pull(u64 queue, u32 mine, s32 cpu, u64 beside)
{
	u32 other = next_llc(llc_at(mine)->compared, mine), looked = 0;
	struct task_struct *p;
	struct task_ctx *t;
	u64 now;

	if (scx_bpf_dsq_nr_queued(queue_in(queue, other)) <= 0)
		return 0;
	now = scx_bpf_now();
	bpf_for_each (scx_dsq, p, queue_in(queue, other), 0) {
		if (++looked > LOOKED_THROUGH)
			break;
		t = ctx_of(p);
		if (!t || before(now, t->moved_at + STAY_NS) ||
		    !bpf_cpumask_test_cpu(cpu, p->cpus_ptr) ||
		    !gains(queue, mine, other, t, beside))
			continue;
		t->moved_at = now;
		requeue(BPF_FOR_EACH_ITER, p, t, mine);
		return 1;
	}
	return 0;
}

/* At a look, after serve_late(). */
__noinline int balance(u64 queue, u32 mine, s32 cpu)
{
	return nr_llcs > 1 ? pull(queue, mine, cpu, 0) : 0;
}

/* Whether none of the first tasks that wait here may run on this CPU. */
static bool finds_nothing(u64 queue, u32 llc, s32 cpu)
{
	struct task_struct *p;
	u32 looked = 0;

	bpf_for_each (scx_dsq, p, queue_in(queue, llc), 0) {
		if (++looked > LOOKED_THROUGH || bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			return false;
	}
	return true;
}

/*
 * Where a CPU's task, of this weight, goes on. CPUs whose slices always end in the same order try
 * at random, so that none is always before the one that could help.
 */
__noinline int balance_lone(u64 queue, u32 mine, s32 cpu, u64 beside, u64 now)
{
	struct llc *here = llc_at(mine);

	if (nr_llcs < 2 || !beside || before(now, here->lone_at + LOOK_NS))
		return 0;
	if (bpf_get_prandom_u32() % online_in(mine) || !finds_nothing(queue, mine, cpu) ||
	    !turn_due(&here->lone_at, now, LOOK_NS))
		return 0;
	if (pull(queue, mine, cpu, beside))
		return 1;
	here->lone_at = now - LOOK_NS / 8 * 7;
	return 0;
}

#endif
