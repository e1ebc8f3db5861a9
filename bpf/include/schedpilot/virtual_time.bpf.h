/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Virtual time: fairness as an order.
 *
 * A task's own time advances by its run time divided by its weight; the task that is furthest
 * behind runs next. The clock advances like an ideal processor-sharing server: by the CPU
 * time given to anyone, divided by the weight of all runnable tasks (generalised processor
 * sharing, Parekh and Gallager 1993). Tasks are kept within bounds of the clock. So a long
 * sleep earns little credit; and no stream of newcomers, each joining at the clock, can keep
 * a waiting task from its turn.
 *
 * Each LLC has a clock and a sum of weights of its own. A task counts in one of them; when it
 * goes to another, its time keeps its distance from the clock.
 *
 * enqueue() and running() call follow(); runnable() weighs a task in, quiescent() weighs it out,
 * stopping() advances it, and enqueue() settles it before it joins a queue.
 *
 * Define before: `struct task_ctx` with
 *
 *	u64 vtime;   virtual time, ns of CPU time of a task of weight 100
 *	u64 counted; its part of an LLC's runnable_weight, and which; 0 while it sleeps
 *	u32 llc;     the LLC to whose clock `vtime` belongs
 */
#ifndef SCHEDPILOT_VIRTUAL_TIME_BPF_H
#define SCHEDPILOT_VIRTUAL_TIME_BPF_H

#include <schedpilot/llc.bpf.h>
#include <schedpilot/timing.bpf.h>

/* A new task begins at the clock. */
static void start_at_clock(struct task_ctx *t, u32 llc)
{
	t->llc = llc;
	t->vtime = llc_at(llc)->clock;
}

/* `counted` has the weight in its lower 48 bits, and the LLC above. */
static u64 counted_weight(const struct task_ctx *t)
{
	return t->counted & ((1ULL << 48) - 1);
}

/* Add what is counted to the sum of its LLC, or take it away. */
static void add_counted(u64 counted, bool away)
{
	u64 weight = counted & ((1ULL << 48) - 1);

	__sync_fetch_and_add(&llc_at(counted >> 48)->runnable_weight, away ? -weight : weight);
}

/*
 * One CPU may move a task to another LLC while the next one takes it off its queue. What a task
 * counts is one word, so that whoever takes it away knows where it was, and does so once.
 */
static void count_as(struct task_ctx *t, u64 counted)
{
	u64 old;

	add_counted(counted, false);
	old = __sync_lock_test_and_set(&t->counted, counted);
	add_counted(old, true);
}

static void weigh_in(struct task_ctx *t, u64 weight)
{
	count_as(t, (u64)t->llc << 48 | weight);
}

static void weigh_out(struct task_ctx *t)
{
	add_counted(__sync_lock_test_and_set(&t->counted, 0), true);
}

/* The task waits or runs in this LLC now. */
static void follow(struct task_ctx *t, u32 llc)
{
	u64 old = t->counted, now = (u64)llc << 48 | counted_weight(t);

	if (t->llc == llc)
		return;
	t->vtime += llc_at(llc)->clock - llc_at(t->llc)->clock;
	t->llc = llc;
	if (!old)
		return;
	add_counted(now, false);
	add_counted(__sync_val_compare_and_swap(&t->counted, old, now) == old ? old : now, true);
}

/* The task ran for `ran` ns. */
static void advance(struct task_ctx *t, u64 ran, u64 weight)
{
	struct llc *llc = llc_at(t->llc);
	u64 all = llc->runnable_weight;

	t->vtime += ran * 100 / weight;
	__sync_fetch_and_add(&llc->clock, ran * 100 / (all > weight ? all : weight));
}

/* How far the LLC's clock moves in `time` ns when all its CPUs are busy, ns. */
static u64 reach(u32 llc, u64 time)
{
	u64 weight = llc_at(llc)->runnable_weight;

	return time * online_in(llc) * 100 / (weight > 100 ? weight : 100);
}

/*
 * For gains() of <schedpilot/balance.bpf.h>: whether a task's part of an LLC would be no less in
 * `mine`. A heavy task has its CPU for itself, whoever comes.
 */
static __maybe_unused bool gains_weight(u32 mine, u32 other, const struct task_ctx *t, u64 beside)
{
	u64 here = llc_at(mine)->runnable_weight, there = llc_at(other)->runnable_weight;
	u64 cpus = online_in(mine), weight = counted_weight(t);

	if (beside) {
		if (beside * cpus > here + weight)
			return false;
		here = beside;
		cpus = 1;
	}
	return (here + weight) * llc_at(other)->nr_online <= there * cpus;
}

/* Keep the task's time within these bounds of the clock, ns. True: it was too far ahead. */
static bool settle(struct task_ctx *t, u64 behind, u64 ahead)
{
	u64 now = llc_at(t->llc)->clock;

	if (before(t->vtime, now - behind))
		t->vtime = now - behind;
	if (!before(now + ahead, t->vtime))
		return false;
	t->vtime = now + ahead;
	return true;
}

#endif
