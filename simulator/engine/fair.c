// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model of the kernel's own scheduler, EEVDF (kernel/sched/fair.c; Stoica and Abdel-Wahab
 * 1995): weights, virtual deadlines, lag kept over sleep, run to parity, wakeup preemption, one
 * queue for each CPU, idle CPUs that pull. Not modelled: cgroups, bandwidth, NUMA, delayed
 * dequeue, and load tracking by PELT, in whose place stands the weight of the moment.
 */
#include "kernel.h"

/* sysctl_sched_base_slice before it is scaled by 1 + log2(CPUs), at most 8 of them; ns. */
#define BASE_SLICE 700000ULL

static s64 slice(void)
{
	u64 scale = 1;

	for (s32 cpus = sim.want.cpus < 8 ? sim.want.cpus : 8; cpus > 1; cpus /= 2)
		scale++;
	return BASE_SLICE * scale;
}

/* Wall time of the task in its virtual time. */
static s64 virtual(const struct task *t, s64 ns)
{
	return ns * 1024 / (s64)t->weight;
}

/* Where the current task is by now. */
static s64 vruntime_of(const struct sim_cpu *cpu, const struct task *t)
{
	if (t == cpu->curr && t->state == RUNNING)
		return t->vruntime + virtual(t, sim.now - cpu->accounted_at);
	return t->vruntime;
}

/* The average by weight of all that are runnable there. */
static s64 average(const struct sim_cpu *cpu)
{
	s64 sum = 0, weights = 0;
	const struct task *t;

	for (t = cpu->queue; t; t = t->next) {
		sum += (s64)t->weight * (t->vruntime - cpu->min_vruntime);
		weights += t->weight;
	}
	t = cpu->curr;
	if (t && t->state == RUNNING && !cpu->blocks) {
		sum += (s64)t->weight * (vruntime_of(cpu, t) - cpu->min_vruntime);
		weights += t->weight;
	}
	return cpu->min_vruntime + (weights ? sum / weights : 0);
}

static void link(struct sim_cpu *cpu, struct task *t)
{
	t->prev = NULL;
	t->next = cpu->queue;
	if (t->next)
		t->next->prev = t;
	cpu->queue = t;
	cpu->nr++;
	cpu->load += t->weight;
}

static void unlink_task(struct sim_cpu *cpu, struct task *t)
{
	*(t->prev ? &t->prev->next : &cpu->queue) = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = t->prev = NULL;
	cpu->nr--;
	cpu->load -= t->weight;
}

/* Remember how much the task is owed; bounded, so that sleep earns no more. */
static void keep_lag(struct sim_cpu *cpu, struct task *t)
{
	s64 most = virtual(t, 2 * slice());
	s64 lag = average(cpu) - vruntime_of(cpu, t);

	t->lag = lag > most ? most : lag < -most ? -most : lag;
}

static void place(struct sim_cpu *cpu, struct task *t)
{
	s64 load = cpu->load + (cpu->curr && cpu->curr->state == RUNNING ? cpu->curr->weight : 0);
	s64 lag = load ? t->lag * (load + (s64)t->weight) / load : 0;
	s64 whole = virtual(t, slice());

	t->vruntime = average(cpu) - lag;
	t->deadline = t->vruntime + (t->placed ? whole : whole / 2);
	t->placed = true;
}

static void fair_enqueue(struct task *t, u64 flags, bool runnable)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];
	struct task *curr = cpu->curr;
	s64 now;

	(void)flags;
	(void)runnable;
	place(cpu, t);
	link(cpu, t);
	if (!curr || curr->state != RUNNING)
		return;
	now = average(cpu);
	if (t->vruntime <= now && t->deadline < curr->deadline &&
	    (vruntime_of(cpu, curr) > now || vruntime_of(cpu, curr) >= curr->protected_until))
		resched(cpu);
}

static void fair_dequeue(struct task *t, bool sleeps)
{
	struct sim_cpu *cpu = &sim.cpus[t->cpu];

	(void)sleeps;
	keep_lag(cpu, t);
	if (t != cpu->curr || t->state != RUNNING)
		unlink_task(cpu, t);
}

static void fair_account(struct sim_cpu *cpu, u64 ran)
{
	struct task *t = cpu->curr;

	t->vruntime += virtual(t, ran);
	kernel_of(t)->se.sum_exec_runtime += ran;
}

/* The waiting task with the earliest deadline among those that are owed something. */
static struct task *earliest(struct sim_cpu *cpu, struct task *prev)
{
	s64 now = average(cpu);
	struct task *t, *best = NULL, *first = NULL;

	if (prev && (prev->vruntime <= now || !cpu->queue)) {
		if (prev->vruntime < prev->protected_until || !cpu->queue)
			return prev;
		best = prev;
	}
	for (t = cpu->queue; t; t = t->next) {
		if (t->vruntime <= now &&
		    (!best || t->deadline < best->deadline ||
		     (t->deadline == best->deadline && best != prev && t->number < best->number)))
			best = t;
		if (!first || t->vruntime < first->vruntime)
			first = t;
	}
	/* Rounding may leave nobody on the right side of the average. */
	return best ? best : first;
}

/* Take a waiting task from the CPU that has most of them. */
static struct task *pull(struct sim_cpu *cpu, u64 more_than)
{
	struct sim_cpu *busiest = NULL;
	struct task *t;

	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *each = &sim.cpus[i];

		if (each == cpu || each->nr <= more_than ||
		    (busiest && each->load <= busiest->load))
			continue;
		for (t = each->queue; t && !allowed_on(t, cpu->id); t = t->next)
			;
		if (t)
			busiest = each;
	}
	if (!busiest)
		return NULL;
	/* The one that has waited longest: last in the list. */
	t = busiest->queue;
	while (t->next)
		t = t->next;
	while (t && !allowed_on(t, cpu->id))
		t = t->prev;
	keep_lag(busiest, t);
	unlink_task(busiest, t);
	move_to_cpu(t, cpu->id);
	place(cpu, t);
	link(cpu, t);
	return t;
}

static struct task *fair_pick(struct sim_cpu *cpu, struct task *prev)
{
	bool on = prev && prev->state == RUNNING;

	if (!on && !cpu->queue && (!cpu->online || !pull(cpu, 0)))
		return NULL;
	return earliest(cpu, on ? prev : NULL);
}

static void fair_put(struct sim_cpu *cpu, struct task *prev, struct task *next)
{
	(void)next;
	link(cpu, prev);
}

static void fair_set(struct sim_cpu *cpu, struct task *next)
{
	unlink_task(cpu, next);
	next->protected_until = next->deadline;
	if (next->vruntime > cpu->min_vruntime)
		cpu->min_vruntime = next->vruntime;
}

static void fair_tick(struct sim_cpu *cpu)
{
	struct task *t = cpu->curr;

	if (t->vruntime >= t->deadline) {
		t->deadline = t->vruntime + virtual(t, slice());
		if (cpu->nr)
			cpu->need_resched = true;
	}
	if (!cpu->nr)
		return;
	/* An idle CPU takes over some work; one that is less busy does so now and then. */
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *other = &sim.cpus[i];

		if (other->online && !other->curr && !other->nr) {
			resched(other);
			break;
		}
	}
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct sim_cpu *other = &sim.cpus[i];

		if (other->online && other->nr + 1 < cpu->nr &&
		    sim.now - other->balanced_at > 2 * sim.want.tick_ns) {
			other->balanced_at = sim.now;
			pull(other, other->nr + 1);
		}
	}
}

static bool is_idle(const struct sim_cpu *cpu)
{
	return cpu->online && !cpu->curr && !cpu->nr;
}

static s32 fair_select_cpu(struct task *t, u64 wake_flags)
{
	s32 first = t->cpu / sim.want.llc_cpus * sim.want.llc_cpus, best = -1;

	if (wake_flags & SCX_WAKE_FORK) {
		for (s32 i = 0; i < sim.want.cpus; i++) {
			struct sim_cpu *cpu = &sim.cpus[i];

			if (!cpu->online || !allowed_on(t, i))
				continue;
			if (best < 0 ||
			    cpu->nr + !!cpu->curr < sim.cpus[best].nr + !!sim.cpus[best].curr)
				best = i;
		}
		return best < 0 ? t->cpu : best;
	}
	if (is_idle(&sim.cpus[t->cpu]) && allowed_on(t, t->cpu))
		return t->cpu;
	for (s32 i = first; i < first + sim.want.llc_cpus && i < sim.want.cpus; i++)
		if (is_idle(&sim.cpus[i]) && allowed_on(t, i))
			return i;
	return t->cpu;
}

static bool fair_start(void)
{
	return true;
}

static bool fair_welcome(struct task *t, bool fork)
{
	(void)t;
	(void)fork;
	return true;
}

static void fair_farewell(struct task *t)
{
	(void)t;
}

static void fair_idle(struct sim_cpu *cpu, bool idle, bool notify)
{
	(void)notify;
	cpu->idle_bit = idle && cpu->online;
}

const struct sim_class fair_class = {
    .start = fair_start,
    .welcome = fair_welcome,
    .farewell = fair_farewell,
    .select_cpu = fair_select_cpu,
    .enqueue = fair_enqueue,
    .dequeue = fair_dequeue,
    .account = fair_account,
    .pick = fair_pick,
    .put = fair_put,
    .set = fair_set,
    .idle = fair_idle,
    .tick = fair_tick,
};
