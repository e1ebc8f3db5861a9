// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine's observations about a wait: where the task stands, which CPUs look there, what
 * runs meanwhile, and at the end, whether it would be taken with all others out of the way.
 * waits.py derives the cause; nothing here decides anything.
 */
#include "kernel.h"

#define MOST_TURNS	20000
#define WORTH_ASKING_NS 1000000000ULL

static void set_bit_of(u64 *mask, s32 cpu)
{
	mask[cpu / 64] |= 1ULL << cpu % 64;
}

void saw_look(struct dsq *dsq)
{
	if (!dsq->looked)
		dsq->looked = room(sim.want.cpus * sizeof(*dsq->looked));
	dsq->looked[sim.this_cpu->id] = sim.now + 1;
}

void saw_dispatch(struct sim_cpu *cpu)
{
	cpu->dispatched_at = sim.now + 1;
}

void saw_enter(struct dsq *dsq, struct task *t)
{
	t->ahead = dsq->taken;
}

void saw_leave(struct dsq *dsq, struct task *t)
{
	t->stood_in = dsq->id;
	t->passed = dsq->taken++ - t->ahead;
	dsq->taken_at = sim.now;
}

void saw_turn(struct sim_cpu *cpu, struct task *next)
{
	if (next && cpu->turn_of == next)
		return;
	cpu->turn_of = next;
	cpu->turn_from = sim.now;
	cpu->extended = false;
	if (!next)
		return;
	cpu->turn_comm = next->plan->comm;
	cpu->turn_pid = kernel_of(next)->pid;
}

/* Whether it has been so for half of the wait. */
static bool since_long(u64 from, u64 waited)
{
	return sim.now - from >= waited / 2;
}

/* Whether it was in the other half of the wait. */
static bool of_late(u64 seen_at, u64 waited)
{
	return seen_at && sim.now - (seen_at - 1) < waited / 2;
}

static void see_cpu(struct wait *w, const struct task *t, const struct sim_cpu *cpu)
{
	const struct dsq *dsq = t->dsq;

	if (dsq && dsq->looked && dsq->looked[cpu->id]) {
		set_bit_of(w->ever, cpu->id);
		if (of_late(dsq->looked[cpu->id], w->ns))
			set_bit_of(w->looked, cpu->id);
	}
	if (!allowed_on(t, cpu->id))
		return;
	set_bit_of(cpu->online ? w->allowed : w->offline, cpu->id);
	if (!cpu->online)
		return;
	if (of_late(cpu->dispatched_at, w->ns))
		set_bit_of(w->asked, cpu->id);
	if (!since_long(cpu->turn_from, w->ns))
		return;
	if (!cpu->curr) {
		set_bit_of(w->idle, cpu->id);
		return;
	}
	set_bit_of(w->held, cpu->id);
	if (*w->holder && sim.now - cpu->turn_from <= w->held_ns)
		return;
	w->held_ns = sim.now - cpu->turn_from;
	w->extended = cpu->extended;
	w->endless = kernel_of(cpu->curr)->scx.slice == SCX_SLICE_INF;
	text_into(w->holder, sizeof(w->holder), "%s[%d]", cpu->turn_comm, cpu->turn_pid);
}

static void begin(struct wait *w, const struct task *t)
{
	*w = (struct wait){.seen = true, .ns = sim.now - t->waits_since};
	text_into(w->task, sizeof(w->task), "%s[%d]", t->plan->comm,
		  kernel_of((struct task *)t)->pid);
}

void see_wait(struct wait *w, struct task *t)
{
	begin(w, t);
	w->of = t;
	if (t->dsq) {
		w->place = t->dsq->cpu >= 0		  ? IN_LOCAL
			   : t->dsq->id == SCX_DSQ_GLOBAL ? IN_GLOBAL
							  : IN_CREATED;
		w->queue = t->dsq->cpu >= 0 ? (u64)t->dsq->cpu : t->dsq->id;
		w->passed = t->dsq->taken - t->ahead;
		w->taken_ns = t->dsq->taken ? sim.now - t->dsq->taken_at : w->ns;
	}
	for (s32 i = 0; i < sim.want.cpus; i++)
		see_cpu(w, t, &sim.cpus[i]);
}

void see_end(struct wait *w, const struct task *t, const struct sim_cpu *cpu)
{
	begin(w, t);
	w->ended = true;
	w->place = t->stood_in == SCX_DSQ_LOCAL	   ? IN_LOCAL
		   : t->stood_in == SCX_DSQ_GLOBAL ? IN_GLOBAL
						   : IN_CREATED;
	w->queue = w->place == IN_LOCAL ? (u64)cpu->id : t->stood_in;
	w->passed = w->place == IN_LOCAL && t->dsq ? t->dsq->taken - t->ahead : t->passed;
	for (s32 i = 0; i < sim.want.cpus; i++)
		if (allowed_on(t, i) && sim.cpus[i].online)
			set_bit_of(w->allowed, i);
	if (!cpu->turn_of || !since_long(cpu->turn_from, w->ns))
		return;
	set_bit_of(w->held, cpu->id);
	w->held_ns = sim.now - cpu->turn_from;
	w->extended = cpu->extended;
	text_into(w->holder, sizeof(w->holder), "%s[%d]", cpu->turn_comm, cpu->turn_pid);
}

/* ---- the question at the end ---- */

static struct wait *wait_at(u32 i)
{
	return i < sim.want.nr_groups ? &sim.want.groups[i].longest : &sim.stalled;
}

/*
 * All running tasks go to sleep, and dispatch() is asked for the next, until no CPU has one.
 * A task that is taken then was behind others; for one that is not, nobody serves its queue
 * or nobody was woken.
 */
static void clear_all(u8 *fates)
{
	u32 turns = 0;
	bool any = true;

	sim.over = false;
	while (any && !sim.over && turns < MOST_TURNS) {
		any = false;
		for (s32 i = 0; i < sim.want.cpus && !sim.over; i++) {
			struct sim_cpu *cpu = &sim.cpus[i];

			if (!cpu->online)
				continue;
			sim.this_cpu = cpu;
			turns++;
			let_go(cpu);
			any |= cpu->curr != NULL;
		}
	}
	for (u32 i = 0; !any && !sim.over && i <= sim.want.nr_groups; i++)
		if (wait_at(i)->of)
			fates[i] = wait_at(i)->of->state == RUNNABLE ? FATE_LEFT : FATE_TAKEN;
}

void ask_for_the_rest(void)
{
	bool asks = false;
	u8 *fates;

	for (u32 i = 0; i <= sim.want.nr_groups; i++)
		asks |= wait_at(i)->of && wait_at(i)->ns >= WORTH_ASKING_NS;
	if (!asks || sim.class != &ext_class || (sim.over && sim.exit_kind != EXIT_STALL))
		return;
	fates = answers_of_another(clear_all, sim.want.nr_groups + 1);
	for (u32 i = 0; fates && i <= sim.want.nr_groups; i++)
		wait_at(i)->fate = fates[i];
}
