// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the kernel's own scheduler divides a CPU between cgroups (kernel/sched/fair.c of 7.3).
 *
 * All tasks of a CPU compete in one queue. What a task in groups weighs there is its part of its
 * group's weight on that CPU, times that group's part of the weight of the one above, and so on
 * (__calc_prop_weight()). A group's weight on a CPU is its shares, times the number of CPUs it
 * can use, in proportion to its load there (calc_concur_shares() and __calc_smp_shares()). It is
 * brought up to date when a task comes or goes and at ticks (update_cfs_group()); a waiting task
 * keeps what it weighed when it came.
 *
 * Simpler than there: the load that a migrating task leaves behind decays where it was.
 */
#include "kernel.h"
#include "groups.h"

#define MIN_SHARES	2ULL /* fine */
#define MAX_SHARES	((1ULL << 18) << FINE_SHIFT)
#define WEIGHT_IDLEPRIO 3ULL
#define NICE_0		1024ULL
/* Sums over all CPUs are made at most that often (update_tg_load_avg()). */
#define SUM_NS 1000000ULL

static struct fair_group *groups;
static struct group_queue *queues;

struct fair_group *fair_group_at(u32 cgroup)
{
	return &groups[cgroup];
}

struct group_queue *group_queue_at(u32 cgroup, const struct sim_cpu *cpu)
{
	return &queues[(u64)cgroup * sim.want.cpus + cpu->id];
}

u32 cgroup_above(u32 cgroup)
{
	return sim.want.cgroups[cgroup].parent;
}

/* sched_weight_from_cgroup(), and the bounds of sched_group_set_shares(). */
static u64 shares_of(u32 weight)
{
	u64 shares = ((u64)weight * NICE_0 + 50) / 100 << FINE_SHIFT;

	if (shares < 2ULL << FINE_SHIFT)
		return 2ULL << FINE_SHIFT;
	return shares > MAX_SHARES ? MAX_SHARES : shares;
}

void start_groups(void)
{
	u32 nr = sim.want.nr_cgroups;

	if (nr < 2)
		return;
	groups = room(nr * sizeof(*groups));
	queues = room((u64)nr * sim.want.cpus * sizeof(*queues));
	for (u32 i = 1; i < nr; i++) {
		struct cgroup_plan *plan = &sim.want.cgroups[i];

		groups[i].summed_at = NEVER;
		groups[i].idle = plan->idle;
		groups[i].shares =
		    plan->idle ? WEIGHT_IDLEPRIO << FINE_SHIFT : shares_of(plan->weight);
		for (s32 k = 0; k < sim.want.cpus; k++) {
			struct group_queue *queue = group_queue_at(i, &sim.cpus[k]);

			queue->cpu = &sim.cpus[k];
			queue->throttled_from = NEVER;
			queue->entity = groups[i].shares;
		}
		set_quota(i, &plan->bandwidth);
	}
}

static void follow_queue(u32 cgroup, struct group_queue *queue)
{
	queue->frozen &= group_throttled(cgroup, queue->cpu);
	if (queue->frozen) {
		queue->load.until = queue->demand.until = sim.now;
		return;
	}
	follow(&queue->load, queue->weight);
	follow(&queue->demand, (u64)queue->runnable * NICE_0 << FINE_SHIFT);
}

static void sum_up(u32 cgroup)
{
	struct fair_group *group = &groups[cgroup];

	if (group->summed_at != NEVER && sim.now - group->summed_at < SUM_NS)
		return;
	group->summed_at = sim.now;
	group->load = group->demand = group->cpus = 0;
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct group_queue *queue = group_queue_at(cgroup, &sim.cpus[i]);

		follow_queue(cgroup, queue);
		queue->summed = fine_weight_of(&queue->load);
		group->load += queue->summed;
		group->demand += fine_weight_of(&queue->demand);
		group->cpus += sim.cpus[i].online;
	}
}

/* calc_concur_shares(): how much the group weighs on that CPU. */
static u64 weight_on_cpu(u32 cgroup, struct group_queue *queue)
{
	struct fair_group *group = &groups[cgroup];
	u64 load = fine_weight_of(&queue->load), all, most, tasks;

	sum_up(cgroup);
	/* Rounded, since our averages only come near to their limit. */
	tasks = (group->demand + (NICE_0 << FINE_SHIFT) / 2048) / (NICE_0 << FINE_SHIFT);
	if (tasks > group->cpus)
		tasks = group->cpus;
	most = group->shares * (tasks ? tasks : 1);
	if (load < queue->weight)
		load = queue->weight;
	all = group->load - queue->summed + load;
	load = all ? (u64)((unsigned __int128)most * load / all) : 0;
	return load < MIN_SHARES ? MIN_SHARES : load > most ? most : load;
}

/*
 * A task changes what competes in its group by that much weight and that many entities and
 * runnable tasks; then what its groups weigh changes level by level.
 */
static void change_chain(u32 cgroup, struct sim_cpu *cpu, s64 weight, s32 nr, s32 runnable)
{
	for (; cgroup; cgroup = cgroup_above(cgroup)) {
		struct group_queue *queue = group_queue_at(cgroup, cpu);
		u64 before = queue->entity;
		bool was_empty = !queue->nr;

		follow_queue(cgroup, queue);
		queue->frozen = false;
		queue->weight += weight;
		queue->nr += nr;
		queue->runnable += runnable;
		if (was_empty && queue->nr)
			quota_used_again(cgroup, cpu);
		if (queue->nr)
			queue->entity = weight_on_cpu(cgroup, queue);
		if (was_empty) {
			weight = queue->nr ? queue->entity : 0;
			nr = queue->nr ? 1 : 0;
		} else if (queue->nr) {
			weight = (s64)queue->entity - (s64)before;
			nr = 0;
		} else {
			weight = -(s64)before;
			nr = -1;
			queue->frozen = group_throttled(cgroup, cpu);
			quota_left_over(cgroup, cpu);
		}
	}
}

static bool in_idle_group(u32 cgroup)
{
	while (cgroup && !groups[cgroup].idle)
		cgroup = cgroup_above(cgroup);
	return cgroup;
}

void join_groups(struct task *t, struct sim_cpu *cpu)
{
	if (!t->cgroup)
		return;
	t->grouped_on = cpu;
	t->grouped_runnable = true;
	t->in_idle_group = in_idle_group(t->cgroup);
	cpu->nr_in_idle_groups += t->in_idle_group;
	change_chain(t->cgroup, cpu, t->weight << FINE_SHIFT, 1, 1);
}

void leave_groups(struct task *t)
{
	struct sim_cpu *cpu = t->grouped_on;

	if (!cpu)
		return;
	t->grouped_on = NULL;
	cpu->nr_in_idle_groups -= t->in_idle_group;
	change_chain(t->cgroup, cpu, -(s64)(t->weight << FINE_SHIFT), -1,
		     -(s32)t->grouped_runnable);
}

void count_in_groups(struct task *t, bool runnable)
{
	if (!t->grouped_on || t->grouped_runnable == runnable)
		return;
	t->grouped_runnable = runnable;
	change_chain(t->cgroup, t->grouped_on, 0, 0, runnable ? 1 : -1);
}

void update_groups(struct task *t)
{
	if (t->grouped_on)
		change_chain(t->cgroup, t->grouped_on, 0, 0, 0);
}

u64 flat_weight_in(const struct task *t, const struct sim_cpu *cpu)
{
	u64 weight = t->weight << FINE_SHIFT;

	for (u32 i = t->cgroup; i; i = cgroup_above(i)) {
		struct group_queue *queue = group_queue_at(i, cpu);

		weight = (unsigned __int128)weight * queue->entity / queue->weight;
		if (weight < MIN_SHARES)
			weight = MIN_SHARES;
	}
	return weight;
}

static void set_shares(u32 cgroup, u64 shares)
{
	groups[cgroup].shares = shares;
	for (s32 i = 0; i < sim.want.cpus; i++)
		change_chain(cgroup, &sim.cpus[i], 0, 0, 0);
}

void change_group(const struct cgroup_change *change)
{
	struct fair_group *group = &groups[change->cgroup];

	switch (change->setting) {
	case SET_WEIGHT:
		set_shares(change->cgroup, shares_of(change->weight));
		break;
	case SET_IDLE:
		if (group->idle == change->idle)
			break;
		group->idle = change->idle;
		for (u32 i = 0; i < sim.nr_tasks; i++) {
			struct task *t = sim.tasks[i];

			if (!t || !t->grouped_on)
				continue;
			t->grouped_on->nr_in_idle_groups -= t->in_idle_group;
			t->in_idle_group = in_idle_group(t->cgroup);
			t->grouped_on->nr_in_idle_groups += t->in_idle_group;
		}
		/* sched_group_set_idle(): the weight that it had is lost. */
		set_shares(change->cgroup, (change->idle ? WEIGHT_IDLEPRIO : NICE_0) << FINE_SHIFT);
		break;
	case SET_BANDWIDTH:
		set_quota(change->cgroup, &change->bandwidth);
		break;
	}
}
