// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cpu.max under the kernel's own scheduler (CFS bandwidth, kernel/sched/fair.c of 7.3): each
 * period the group's pool is filled with its quota; a CPU that runs one of its tasks takes 5 ms
 * at a time; where there is none left the group is throttled on that CPU, until the next period
 * pays its debt. Tasks of a throttled group go away when it is their turn, as they do in the
 * kernel when they would return to userspace. What a CPU has left when the group has nothing
 * more to do there goes back to the pool, and to throttled CPUs after 5 ms.
 */
#include "kernel.h"
#include "groups.h"

/* sysctl_sched_cfs_bandwidth_slice. */
#define SLICE_NS 5000000LL
/* min_cfs_rq_runtime: so much stays with the CPU. */
#define KEPT_NS 1000000LL
/* cfs_bandwidth_slack_period and min_bandwidth_expiration. */
#define SLACK_NS    5000000ULL
#define TOO_LATE_NS 2000000ULL

static bool limited(u32 cgroup)
{
	return fair_group_at(cgroup)->limit.quota_ns != NEVER;
}

/* start_cfs_bandwidth(): periods of a group stay in step, also over a time without work. */
static void start_timer(u32 cgroup)
{
	struct fair_group *group = fair_group_at(cgroup);
	u64 period = group->limit.period_ns;

	if (group->timer_on)
		return;
	group->timer_on = true;
	group->timer_cpu = sim.this_cpu;
	if (group->refill_at <= sim.now)
		group->refill_at += ((sim.now - group->refill_at) / period + 1) * period;
	wake_quota(group->refill_at, cgroup, false);
}

/* __refill_cfs_bandwidth_runtime(). */
static void refill(struct fair_group *group)
{
	u64 most = group->limit.quota_ns + group->limit.burst_ns;

	if (group->limit.quota_ns == NEVER)
		return;
	group->left_ns += group->limit.quota_ns;
	if (group->left_ns > most)
		group->left_ns = most;
}

/* __assign_cfs_rq_runtime(): false if nothing is left. */
static bool take(u32 cgroup, struct group_queue *queue, s64 target)
{
	struct fair_group *group = fair_group_at(cgroup);
	u64 amount = target - queue->left_ns;

	start_timer(cgroup);
	if (amount > group->left_ns)
		amount = group->left_ns;
	if (amount)
		group->unused = false;
	group->left_ns -= amount;
	queue->left_ns += (s64)amount;
	return queue->left_ns > 0;
}

/* throttle_cfs_rq(): true if the group has to wait there. */
static bool throttle(u32 cgroup, struct group_queue *queue, s64 target)
{
	struct group_queue **at = &fair_group_at(cgroup)->throttled;

	if (take(cgroup, queue, target))
		return false;
	while (*at)
		at = &(*at)->next;
	*at = queue;
	queue->next = NULL;
	queue->throttled = true;
	return true;
}

void quota_used_again(u32 cgroup, struct sim_cpu *cpu)
{
	struct group_queue *queue = group_queue_at(cgroup, cpu);

	/* check_enqueue_throttle(). */
	if (limited(cgroup) && !queue->throttled && queue->left_ns <= 0)
		throttle(cgroup, queue, 1);
}

/* return_cfs_rq_runtime(). */
void quota_left_over(u32 cgroup, struct sim_cpu *cpu)
{
	struct fair_group *group = fair_group_at(cgroup);
	struct group_queue *queue = group_queue_at(cgroup, cpu);
	s64 more = queue->left_ns - KEPT_NS;

	if (!limited(cgroup) || more <= 0)
		return;
	queue->left_ns -= more;
	group->left_ns += more;
	if (group->left_ns <= (u64)SLICE_NS || !group->throttled || group->slack_timer_on ||
	    group->refill_at < sim.now + SLACK_NS + TOO_LATE_NS)
		return;
	group->slack_timer_on = true;
	wake_quota(sim.now + SLACK_NS, cgroup, true);
}

void charge_groups(struct task *t, struct sim_cpu *cpu, u64 ran)
{
	for (u32 i = t->cgroup; i; i = cgroup_above(i)) {
		struct group_queue *queue = group_queue_at(i, cpu);

		if (!limited(i))
			continue;
		queue->left_ns -= (s64)ran;
		if (queue->left_ns <= 0 && !queue->throttled && throttle(i, queue, SLICE_NS))
			resched(cpu);
	}
}

/* task_throttle_setup_work(): they do not return to userspace. */
static bool exempt(const struct task *t)
{
	return t->plan->kthread || t->leaves || t->exiting;
}

bool group_throttled(u32 cgroup, const struct sim_cpu *cpu)
{
	while (cgroup && !group_queue_at(cgroup, cpu)->throttled)
		cgroup = cgroup_above(cgroup);
	return cgroup;
}

/* A CPU that is going away limits nobody, so that its tasks can leave. */
bool is_throttled(const struct task *t, const struct sim_cpu *cpu)
{
	return cpu->online && t->cgroup && !exempt(t) && group_throttled(t->cgroup, cpu);
}

bool may_use_quota(const struct task *t, struct sim_cpu *cpu)
{
	bool may = true;

	for (u32 i = t->cgroup; i; i = cgroup_above(i)) {
		struct group_queue *queue = group_queue_at(i, cpu);

		/* account_cfs_rq_runtime() in set_next_task_fair(). */
		if (limited(i) && !queue->throttled && queue->left_ns <= 0)
			throttle(i, queue, SLICE_NS);
		may &= !queue->throttled;
	}
	return may || !cpu->online || exempt(t);
}

void note_throttled(const struct task *t, const struct sim_cpu *cpu)
{
	for (u32 i = t->cgroup; i; i = cgroup_above(i)) {
		struct group_queue *queue = group_queue_at(i, cpu);

		if (queue->throttled && queue->throttled_from == NEVER)
			queue->throttled_from = sim.now;
	}
}

static void end_throttled_time(u32 cgroup, struct group_queue *queue)
{
	if (queue->throttled_from != NEVER)
		sim.want.cgroups[cgroup].throttled_ns += sim.now - queue->throttled_from;
	queue->throttled_from = NEVER;
}

static void unlink_throttled(u32 cgroup, struct group_queue *queue)
{
	struct group_queue **at = &fair_group_at(cgroup)->throttled;

	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	queue->throttled = false;
	end_throttled_time(cgroup, queue);
}

/* distribute_cfs_runtime(). */
static void distribute(u32 cgroup)
{
	struct fair_group *group = fair_group_at(cgroup);

	while (group->throttled && group->left_ns) {
		struct group_queue *queue = group->throttled;
		u64 debt, amount;

		/* One that is exempt may run there. */
		if (queue->cpu->curr)
			account(queue->cpu);
		debt = 1 - queue->left_ns;
		amount = debt < group->left_ns ? debt : group->left_ns;
		group->left_ns -= amount;
		queue->left_ns += (s64)amount;
		if (queue->left_ns <= 0)
			return;
		unlink_throttled(cgroup, queue);
		release_throttled(queue->cpu);
	}
}

/* do_sched_cfs_period_timer() and do_sched_cfs_slack_timer(). */
void quota_timer(u32 cgroup, bool slack)
{
	struct fair_group *group = fair_group_at(cgroup);
	bool throttled = group->throttled;

	sim.this_cpu = group->timer_cpu;
	if (slack) {
		group->slack_timer_on = false;
		if (limited(cgroup) && group->left_ns > (u64)SLICE_NS &&
		    group->refill_at >= sim.now + TOO_LATE_NS)
			distribute(cgroup);
		return;
	}
	group->timer_on = false;
	if (!limited(cgroup))
		return;
	sim.want.cgroups[cgroup].periods++;
	refill(group);
	if (group->unused && !throttled)
		return;
	start_timer(cgroup);
	group->unused = !throttled;
	if (!throttled)
		return;
	sim.want.cgroups[cgroup].throttled_periods++;
	distribute(cgroup);
	group->unused = false;
}

/* tg_set_cfs_bandwidth(). */
void set_quota(u32 cgroup, const struct bandwidth *limit)
{
	struct fair_group *group = fair_group_at(cgroup);

	/* Periods of groups do not begin at the same time (init_cfs_bandwidth()). */
	if (!group->limit.period_ns)
		group->refill_at = cgroup * 0x9e3779b97f4a7c15ULL % limit->period_ns;
	group->limit = *limit;
	refill(group);
	if (limited(cgroup) && sim.now)
		start_timer(cgroup);
	for (s32 i = 0; i < sim.want.cpus; i++) {
		struct group_queue *queue = group_queue_at(cgroup, &sim.cpus[i]);

		queue->left_ns = 1;
		if (!queue->throttled)
			continue;
		unlink_throttled(cgroup, queue);
		release_throttled(&sim.cpus[i]);
	}
}

/* unthrottle_offline_cfs_rqs(). */
void lift_quotas_of(struct sim_cpu *cpu)
{
	for (u32 i = 1; i < sim.want.nr_cgroups; i++) {
		struct group_queue *queue = group_queue_at(i, cpu);

		if (!queue->throttled)
			continue;
		queue->left_ns = 1;
		unlink_throttled(i, queue);
	}
	release_throttled(cpu);
}

void settle_quotas(void)
{
	for (u32 i = 1; i < sim.want.nr_cgroups; i++)
		for (s32 k = 0; k < sim.want.cpus; k++)
			end_throttled_time(i, group_queue_at(i, &sim.cpus[k]));
}
