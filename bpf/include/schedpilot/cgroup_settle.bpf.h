/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is held: every few milliseconds a timer settles the accounts of all groups.
 *
 * Siblings share what their parent gets by virtual time: CPU time divided by weight. Groups
 * *compete* if their tasks wait for a CPU, or have about their share or more. The clock of siblings
 * advances by what those that compete got, divided by their weight (generalised processor
 * sharing, Parekh and Gallager 1993), and is never behind the least of them (start-time fair
 * queueing, Goyal, Vin and Cheng 1996). So what a group cannot use goes to its siblings. A
 * group more than TOLERANCE_NS ahead of the clock is held until it no longer is.
 *
 * A quota is refilled once in each period, and what was used is taken off. It may become
 * negative, by at most what a tick lets through, and the debt is paid from the next quota.
 */
#ifndef SCHEDPILOT_CGROUP_SETTLE_BPF_H
#define SCHEDPILOT_CGROUP_SETTLE_BPF_H

#include <schedpilot/cgroups.bpf.h>
#include <schedpilot/machine.bpf.h>

/* How often, ns: while a group wants more than it gets, and while none does. */
#define SETTLE_NS	5000000ULL
#define SETTLE_QUIET_NS 50000000ULL
/* With many groups less often, so that at most about one part in a hundred of a CPU is spent. */
#define SETTLE_GROUP_NS 20000ULL

/* How far a group may be ahead of its share, ns of CPU time. */
#define TOLERANCE_NS 4000000ULL
/* A group that wanted less than its share may be this far behind, ns of CPU time. */
#define BEHIND_NS 20000000ULL

/* How often to look at held tasks where no group's state changes, ns. */
#define RELEASE_NS 10000000

struct settle_timer {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct settle_timer);
} settle_timers SEC(".maps");

/* When held tasks were last looked at, ns. */
static u64 released_at;
/* When the accounts were last settled, ns. */
static u64 settled_at;

/*
 * Add what each group's own tasks used and want to all groups above. Those that waited for less
 * than an eighth of the time since, ns, got what they wanted.
 */
__noinline int settle_usage(u64 passed)
{
	u32 i, level;

	bpf_for (i, ROOT_TASKS, nr_slots) {
		struct group *g = group_at(i), *above;
		struct shard sum;
		s64 root;
		u32 slot = i, wants;
		u64 used;

		if (!g || (i != ROOT_TASKS && !g->id))
			continue;
		sum = sum_of(g);
		used = sum.used - g->seen;
		wants = sum.waiting > 0 || sum.waited - g->seen_waited > passed / 8;
		g->seen_waited = sum.waited;
		g->nr_waiting = sum.waiting;
		if (!used && !wants)
			continue;
		g->seen += used;
		if (i == ROOT_TASKS) {
			root = root_weight();
			g->weight = root > 0 ? kernel_weight(root) : USUAL_WEIGHT;
			g->parent = ROOT;
		}
		bpf_for (level, 0, MAX_LEVELS) {
			above = group_at(slot);
			if (!above)
				break;
			above->took += used;
			above->moves = 1;
			/* Nobody below may run, however much they want. */
			if (above->is_throttled)
				wants = 0;
			above->wants |= wants;
			if (slot == ROOT)
				break;
			slot = above->parent;
		}
	}
	return 0;
}

static u64 weight_in_tree(const struct group *g)
{
	u64 weight = g->idle ? IDLE_WEIGHT : g->weight;

	return weight ? weight : 1;
}

/* CPU time as virtual time of a group. */
static u64 by_weight(u64 ns, const struct group *g)
{
	return ns * USUAL_WEIGHT / weight_in_tree(g);
}

/* Add up for each parent what its children weigh and took. */
__noinline int settle_parents(void)
{
	u32 i;

	bpf_for (i, ROOT_TASKS, nr_slots) {
		struct group *g = group_at(i), *above;

		if (!g || !(g->moves || g->wants))
			continue;
		above = group_at(g->parent);
		if (!above)
			continue;
		above->weights += weight_in_tree(g);
		above->took_all += g->took;
	}
	return 0;
}

/* Advance each group, and add up what those that compete weigh and took. */
__noinline int settle_siblings(void)
{
	u32 i;

	bpf_for (i, ROOT_TASKS, nr_slots) {
		struct group *g = group_at(i), *above;
		u64 weight;

		if (!g || !(g->moves || g->wants))
			continue;
		above = group_at(g->parent);
		if (!above)
			continue;
		weight = weight_in_tree(g);
		g->vtime += by_weight(g->took, g);
		g->competed = g->competes;
		g->competes =
		    g->wants || g->took * above->weights > above->took_all * weight / 8 * 7;
		if (!g->competes)
			continue;
		if (!above->rivals || before(g->vtime, above->least))
			above->least = g->vtime;
		above->rivals += weight;
		above->rivals_took += g->took;
	}
	return 0;
}

/* Advance the clock of each parent. */
__noinline int settle_clocks(void)
{
	u32 i;

	bpf_for (i, 0, nr_slots) {
		struct group *g = group_at(i);

		if (!g || !g->rivals)
			continue;
		g->clock += g->rivals_took * USUAL_WEIGHT / g->rivals;
		if (before(g->clock, g->least))
			g->clock = g->least;
	}
	return 0;
}

static void settle_quota(struct group *g, u64 now)
{
	s64 most = g->quota + g->burst, least;
	u64 periods;

	if (!g->quota || !g->period) {
		g->is_throttled = 0;
		return;
	}
	if (!before(now, g->refill_at)) {
		periods = (now - g->refill_at) / g->period + 1;
		g->refill_at += periods * g->period;
		g->left += periods < 1000 ? periods * g->quota : most;
		if (g->left > most)
			g->left = most;
	}
	g->left -= g->took;
	least = -(s64)(LONGEST_HOLD_NS / g->period * g->quota);
	if (least > -(s64)g->quota)
		least = -(s64)g->quota;
	if (g->left < least)
		g->left = least;
	g->is_throttled = g->left <= 0;
	if (g->left < g->room) {
		g->room = g->left;
		g->end = THROTTLED;
	}
}

/* It may get ahead by this much, virtual ns. */
static void leave_room(struct group *g, s64 ahead)
{
	s64 room = ahead > 0 ? (u64)ahead * weight_in_tree(g) / USUAL_WEIGHT : 0;

	if (room < g->room) {
		g->room = room;
		g->end = AHEAD;
	}
}

/* Bring each group within bounds of its siblings' clock, and find out whether it is ahead. */
__noinline int settle_groups(u64 now)
{
	u32 i;

	bpf_for (i, ROOT_TASKS, nr_slots) {
		struct group *g = group_at(i), *above;
		u64 reach, behind, tolerance;

		if (!g || (i != ROOT_TASKS && !g->id))
			continue;
		g->room = UNLIMITED;
		settle_quota(g, now);
		above = group_at(g->parent);
		if (!above)
			continue;
		tolerance = by_weight(TOLERANCE_NS, g);
		/* So far the clock moves within the longest time that a group may be held. */
		reach = LONGEST_HOLD_NS * nr_online * USUAL_WEIGHT;
		reach /= above->rivals ? above->rivals : USUAL_WEIGHT;
		/* A group that was kept waiting gets what it lacks; one that slept does not. */
		behind = g->competes && g->competed ? reach : by_weight(BEHIND_NS, g);
		if (before(g->vtime, above->clock - behind))
			g->vtime = above->clock - behind;
		if (before(above->clock + reach, g->vtime))
			g->vtime = above->clock + reach;
		if (!g->competes)
			g->is_ahead = 0;
		else if (before(above->clock + tolerance, g->vtime))
			g->is_ahead = 1;
		else if (!before(above->clock + tolerance / 4, g->vtime))
			g->is_ahead = 0;
		else if (g->held == AHEAD)
			g->is_ahead = 1;
		if (g->competes)
			leave_room(g, above->clock + tolerance - g->vtime);
		/* The clock moves by `reach` in LONGEST_HOLD_NS. */
		g->lead = 0;
		if (g->is_ahead)
			g->lead = (g->vtime - above->clock) * 1000 / (reach / 1000 + 1) *
				  (LONGEST_HOLD_NS / 1000000);
		if (!(g->moves || g->wants))
			g->competes = 0;
		g->took = 0;
		g->moves = 0;
		g->wants = 0;
	}
	return 0;
}

/* Each shard may use its part of the allowance before it looks at the others. */
static void share_allowance(struct group *g)
{
	u64 part = g->allowance / nr_shards();
	u32 i;

	for (i = 0; i < MAX_SHARDS && i < nr_shards(); i++)
		g->shards[i].look_at = g->shards[i].used + part;
}

/* A group is held if any group above it is. True: one is no longer, or for another reason. */
__noinline int settle_holds(void)
{
	u32 i, level, changed = 0, busy = 0;

	bpf_for (i, ROOT_TASKS, nr_slots) {
		struct group *g = group_at(i), *above;
		u32 slot = i, held = NOT_HELD, beyond = NOT_HELD;
		s64 room = UNLIMITED;
		u64 lead = 0;

		if (!g)
			continue;
		g->weights = g->took_all = g->rivals = g->rivals_took = 0;
		if (i != ROOT_TASKS && !g->id)
			continue;
		bpf_for (level, 0, MAX_LEVELS) {
			above = group_at(slot);
			if (!above || slot == ROOT)
				break;
			if (above->is_throttled)
				held = THROTTLED;
			else if (above->is_ahead && held != THROTTLED)
				held = AHEAD;
			if (above->lead > lead)
				lead = above->lead;
			if (above->room < room) {
				room = above->room;
				beyond = above->end;
			}
			slot = above->parent;
		}
		g->lead = lead;
		g->beyond = beyond;
		g->allowance = room > 0 ? room : 0;
		g->grants = g->allowance;
		share_allowance(g);
		if (g->held && g->held != held)
			changed = 1;
		if (held || g->nr_waiting > 0)
			busy = 1;
		g->held = held;
	}
	if (changed)
		release_due = 1;
	return busy;
}

/* CPUs that are idle do not ask for work by themselves: wake one, which releases in dispatch(). */
static void wake_releaser(void)
{
	const struct cpumask *online = scx_bpf_get_online_cpumask();
	s32 cpu = scx_bpf_pick_idle_cpu(online, 0);

	scx_bpf_put_cpumask(online);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

static int settle_all(void *map, u32 *key, struct bpf_timer *timer)
{
	struct group *root = group_at(ROOT);
	u64 now = scx_bpf_now(), next;
	bool busy;

	settle_usage(now - settled_at);
	settled_at = now;
	settle_parents();
	settle_siblings();
	settle_clocks();
	settle_groups(now);
	busy = settle_holds();
	if (root)
		root->weights = root->took_all = root->rivals = root->rivals_took = root->took =
		    root->moves = root->wants = 0;
	/* Those that are still held may have waited too long, or may be released one by one. */
	if (!before(now, released_at + RELEASE_NS) &&
	    (scx_bpf_dsq_nr_queued(SPARE) > 0 || scx_bpf_dsq_nr_queued(PUT_AWAY) > 0))
		release_due = 1;
	if (release_due) {
		released_at = now;
		wake_releaser();
	}
	/* The last group is gone. Those who were held because of it are released first. */
	if (!nr_groups && !scx_bpf_dsq_nr_queued(SPARE) && !scx_bpf_dsq_nr_queued(PUT_AWAY))
		return 0;
	next = busy || !nr_groups ? SETTLE_NS : SETTLE_QUIET_NS;
	if (nr_slots * SETTLE_GROUP_NS > next)
		next = nr_slots * SETTLE_GROUP_NS;
	bpf_timer_start(timer, next, 0);
	return 0;
}

/* In init(): the queues of held tasks, and the timer, which starts with the first group. */
static s32 groups_init(void)
{
	u32 zero = 0;
	struct settle_timer *timer = bpf_map_lookup_elem(&settle_timers, &zero);
	s32 error = scx_bpf_create_dsq(SPARE, -1);

	if (!error)
		error = scx_bpf_create_dsq(PUT_AWAY, -1);
	if (error || !timer)
		return error ? error : -EINVAL;
	bpf_timer_init(&timer->timer, &settle_timers, CLOCK_MONOTONIC);
	return bpf_timer_set_callback(&timer->timer, settle_all);
}

static void settle_start(void)
{
	u32 zero = 0;
	struct settle_timer *timer = bpf_map_lookup_elem(&settle_timers, &zero);

	if (timer)
		bpf_timer_start(&timer->timer, SETTLE_NS, 0);
}

#endif
