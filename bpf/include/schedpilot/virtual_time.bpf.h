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
 * runnable() weighs a task in, quiescent() weighs it out, stopping() advances it, and enqueue()
 * settles it before it joins a queue.
 *
 * Define before: `struct task_ctx` with
 *
 *	u64 vtime;   virtual time, ns of CPU time of a task of weight 100
 *	u64 counted; its part of runnable_weight; 0 while it sleeps
 */
#ifndef SCHEDPILOT_VIRTUAL_TIME_BPF_H
#define SCHEDPILOT_VIRTUAL_TIME_BPF_H

#include <schedpilot/machine.bpf.h>
#include <schedpilot/timing.bpf.h>

static u64 clock;	    /* virtual time of all, ns */
static u64 runnable_weight; /* of all tasks whose weight counts */

static void weigh_in(struct task_ctx *t, u64 weight)
{
	t->counted = weight;
	__sync_fetch_and_add(&runnable_weight, weight);
}

static void weigh_out(struct task_ctx *t)
{
	__sync_fetch_and_sub(&runnable_weight, t->counted);
	t->counted = 0;
}

/* The task ran for `ran` ns. */
static void advance(struct task_ctx *t, u64 ran, u64 weight)
{
	u64 all = runnable_weight;

	t->vtime += ran * 100 / weight;
	__sync_fetch_and_add(&clock, ran * 100 / (all > weight ? all : weight));
}

/* How far the clock moves in `time` ns when every CPU is busy, ns. */
static u64 reach(u64 time)
{
	u64 weight = runnable_weight;

	return time * nr_online * 100 / (weight > 100 ? weight : 100);
}

/* Keep the task's time within these bounds of the clock, ns. True: it was too far ahead. */
static bool settle(struct task_ctx *t, u64 behind, u64 ahead)
{
	u64 now = clock;

	if (before(t->vtime, now - behind))
		t->vtime = now - behind;
	if (!before(now + ahead, t->vtime))
		return false;
	t->vtime = now + ahead;
	return true;
}

#endif
