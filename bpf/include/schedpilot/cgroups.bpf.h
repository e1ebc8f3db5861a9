/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tree of control groups, and what it grants: cpu.weight, cpu.idle, cpu.max.
 *
 * The kernel leaves these to the scheduler: it only reports what is written there. The tree
 * divides the machine, and the scheduler orders tasks within what the tree allows. A group
 * that is ahead of its share is *held*: its tasks wait apart, and run only on CPUs for which
 * nobody else has work. A group that has used its quota is held until its next period.
 *
 * This header has the tree: one slot for each group with the cpu controller, and the number
 * of a task's slot in its context. <schedpilot/cgroup_settle.bpf.h> decides who is held, and
 * <schedpilot/cgroup_hold.bpf.h> holds and releases tasks.
 *
 * Without groups (no unit, container or session has a cpu controller) all of this is one
 * test of `nr_groups` for each call.
 *
 * Define before: `struct task_ctx`, as <schedpilot/cgroup_member.bpf.h> wants it.
 */
#ifndef SCHEDPILOT_CGROUPS_BPF_H
#define SCHEDPILOT_CGROUPS_BPF_H

#include <schedpilot/llc.bpf.h>
#include <schedpilot/tasks.bpf.h>
#include <schedpilot/timing.bpf.h>

/* Slots. A group beyond them counts as a part of its parent, as do those below. */
#define MAX_GROUPS 4096
/* A group at a greater depth counts as a part of the last that is not. */
#define MAX_LEVELS 16

/* The root, and the tasks that are directly in it: they compete with its groups. */
#define ROOT	   0
#define ROOT_TASKS 1

/* Weights are in the kernel's unit, in which cpu.weight 100 is 1024 (sched_prio_to_weight[]). */
#define USUAL_WEIGHT 1024
/* WEIGHT_IDLEPRIO, for a group with cpu.idle. */
#define IDLE_WEIGHT 3

/* Longer quotas than this (RUNTIME_INF among them) are none, us. */
#define NO_QUOTA_US 1000000000000ULL

/* An allowance without limit, ns. */
#define UNLIMITED (1LL << 62)

/*
 * Where held tasks wait: those of groups that are ahead, first those whose turn comes first; and
 * those of throttled groups, in the order in which they came. No scheduler has queues with such
 * numbers.
 */
#define SPARE	 (1ULL << 48)
#define PUT_AWAY (SPARE + 1)

/* No group is so far ahead or in debt that it would have to wait longer than this, ns. */
#define LONGEST_HOLD_NS 2000000000ULL

enum hold {
	NOT_HELD,
	AHEAD,	   /* it has had more than its share */
	THROTTLED, /* it has used its quota */
};

/*
 * What a group's own tasks do, in lines of their own for each LLC, so that CPUs that share no
 * cache do not write the same. Only sums mean something: a task may begin to wait in one LLC and
 * end in another.
 */
struct shard {
	u64 used;    /* CPU time, ns */
	u64 waited;  /* time that they waited for a CPU, ns, of those that got one */
	s64 waiting; /* how many wait for a CPU */
	u64 look_at; /* at this much `used` the sum is compared with the group's allowance */
} __attribute__((aligned(64)));

/* LLCs beyond these share the shards of the first ones. */
#define MAX_SHARDS 8

struct group {
	/* Written by its tasks as they run and wait. */
	struct shard shards[MAX_SHARDS];
	/* Written as it settles; read by its tasks. */
	u32 held; /* enum hold: its own or that of any group above */
	u64 lead; /* how long it takes until neither it nor a group above is ahead of its share, ns
		   */
	/* CPU time that its own tasks may have until it settles again, ns, and what then. */
	u64 allowance;
	u32 beyond; /* enum hold */
	s64 grants; /* CPU time for which held tasks may be released until then, ns */

	/* What is written into its files. */
	u64 id;	    /* number of the control group; 0: the slot is free */
	u32 parent; /* slot */
	u32 level;
	u32 weight; /* cpu.weight in the kernel's unit */
	u32 idle;   /* cpu.idle */
	u64 quota;  /* cpu.max, ns in each period; 0: none */
	u64 period; /* ns */
	u64 burst;  /* cpu.max.burst, ns */

	/* Its account, and as a parent that of its children. */
	u64 seen;	 /* of what they used, ns */
	u64 seen_waited; /* of the time that they waited, ns */
	s64 nr_waiting;	 /* how many waited when it last settled */
	u64 took;	 /* CPU time with its descendants since it last settled, ns */
	u64 vtime;	 /* CPU time by weight, ns of CPU time of weight USUAL_WEIGHT */
	u64 clock;	 /* virtual time of its children */
	u64 weights;	 /* of children that run or wait */
	u64 took_all;	 /* by them, ns */
	u64 rivals;	 /* weights of children that compete */
	u64 rivals_took; /* by them, ns */
	u64 least;	 /* the least virtual time of them */
	s64 left;	 /* of the quota, ns; negative: a debt */
	u64 refill_at;
	u32 wants; /* a task waits in it or below, and may run */
	u32 moves; /* something ran in it or below */
	u32 competes;
	u32 competed; /* also the time before */
	u32 is_ahead;
	u32 is_throttled;
	s64 room; /* CPU time until it would be held, ns */
	u32 end;  /* for which reason: enum hold */
};

/* Values of an array that can be mapped begin at a page, so that shards are whole lines. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MAX_GROUPS);
	__type(key, u32);
	__type(value, struct group);
} groups SEC(".maps");

/* Number of a control group → its slot, or that of the group above that stands for it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * MAX_GROUPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, u64);
	__type(value, u32);
} slots SEC(".maps");

/* How many groups there are below the root, and how many slots have ever been in use. */
static u32 nr_groups;
static u32 nr_slots = 2;

/* Set where held tasks may have to move; dispatch() moves them. */
static u32 release_due;
/*
 * Set once a task has been held. Not static: clang would make it one byte, and its type would no
 * longer fit.
 */
u32 ever_held;

static struct group *group_at(u32 slot)
{
	return bpf_map_lookup_elem(&groups, &slot);
}

static struct group *group_of(const struct task_ctx *t)
{
	return group_at(t->member.slot);
}

/* The slot of a control group: its own, or that of the nearest above that has one. */
static u32 slot_of(struct cgroup *cgroup)
{
	u64 id = cgroup->kn->id;
	u32 *slot = bpf_map_lookup_elem(&slots, &id);

	return slot ? *slot : ROOT_TASKS;
}

static void settle_start(void);

/* ---- shards ---- */

static u32 nr_shards(void)
{
	return nr_llcs < MAX_SHARDS ? nr_llcs : MAX_SHARDS;
}

static struct shard *shard_here(struct group *g)
{
	return &g->shards[llc_of(bpf_get_smp_processor_id()) & (MAX_SHARDS - 1)];
}

/* The sums of all shards. */
static struct shard sum_of(const struct group *g)
{
	struct shard sum = {};
	u32 i;

	for (i = 0; i < MAX_SHARDS && i < nr_shards(); i++) {
		sum.used += g->shards[i].used;
		sum.waited += g->shards[i].waited;
		sum.waiting += g->shards[i].waiting;
	}
	return sum;
}

/* Weight of all runnable tasks that are directly in the root, 100 for each of nice 0. */
__noinline s64 root_weight(void)
{
	s64 sum = 0;
	u32 i;

	for (i = 0; i < MAX_LLCS && i < nr_llcs; i++)
		sum += llc_at(i)->root_weight;
	return sum;
}

static s64 *root_weight_here(void)
{
	return &llc_at(llc_of(bpf_get_smp_processor_id()))->root_weight;
}

/* ---- what tasks do ---- */

static void group_runnable(const struct task_struct *p, struct task_ctx *t)
{
	if (t->member.slot != ROOT_TASKS || t->member.weighs)
		return;
	t->member.weighs = p->scx.weight;
	__sync_fetch_and_add(root_weight_here(), t->member.weighs);
}

/* It waits for a CPU. */
static void group_waits(struct task_ctx *t)
{
	struct group *g;

	if (!nr_groups || t->member.waits_from)
		return;
	g = group_of(t);
	if (!g)
		return;
	t->member.waits_from = scx_bpf_now();
	__sync_fetch_and_add(&shard_here(g)->waiting, 1);
}

static void group_waits_no_more(struct task_ctx *t, u64 now)
{
	struct group *g;

	if (!t->member.waits_from)
		return;
	g = group_of(t);
	if (g) {
		__sync_fetch_and_sub(&shard_here(g)->waiting, 1);
		__sync_fetch_and_add(&shard_here(g)->waited, now - t->member.waits_from);
	}
	t->member.waits_from = 0;
}

static void group_quiescent(struct task_ctx *t)
{
	group_waits_no_more(t, scx_bpf_now());
	t->member.last_burst = t->member.burst;
	t->member.burst = 0;
	if (!t->member.weighs)
		return;
	__sync_fetch_and_sub(root_weight_here(), t->member.weighs);
	t->member.weighs = 0;
}

/* A shard looks at all others again when it has used its part of what is left, or this much, ns. */
#define LEAST_PART_NS 100000

/*
 * Hold the group if it has used its allowance: waiting for the accounts to settle would let all
 * CPUs run it until then.
 */
static void compare_use(struct group *g, struct shard *here)
{
	u64 used = sum_of(g).used - g->seen, part;

	if (used >= g->allowance) {
		g->held = g->beyond;
		return;
	}
	part = (g->allowance - used) / nr_shards();
	here->look_at = here->used + (part > LEAST_PART_NS ? part : LEAST_PART_NS);
}

/* Charge the group for the task's run time until now. */
static void group_charge(struct task_ctx *t, u64 now)
{
	struct shard *here;
	struct group *g;
	u64 ran;

	if (!t->member.charged_at)
		return;
	ran = now - t->member.charged_at;
	t->member.burst += ran;
	g = group_of(t);
	if (g) {
		here = shard_here(g);
		__sync_fetch_and_add(&here->used, ran);
		if (!g->held && here->used >= here->look_at)
			compare_use(g, here);
	}
	t->member.charged_at = now;
}

/* ---- the tree ---- */

static u64 kernel_weight(u64 weight)
{
	return weight ? weight * USUAL_WEIGHT / 100 : 1;
}

#ifdef KERNEL_HAS_CGROUP_INIT /* CONFIG_EXT_GROUP_SCHED */

/* A free slot; 0 if there is none. Only one group comes at a time: the kernel holds cgroup_mutex.
 */
static u32 free_slot(void)
{
	u32 slot;

	bpf_for (slot, ROOT_TASKS + 1, MAX_GROUPS) {
		struct group *g = group_at(slot);

		if (g && !g->id)
			return slot;
	}
	return 0;
}

static __maybe_unused void set_quota(struct group *g, u64 period_us, u64 quota_us, u64 burst_us)
{
	u64 quota = quota_us < NO_QUOTA_US && period_us ? quota_us * 1000 : 0;

	g->period = period_us * 1000;
	g->burst = burst_us < NO_QUOTA_US ? burst_us * 1000 : 0;
	/* A new limit begins with a full period; a debt is forgiven. */
	g->left = quota;
	g->refill_at = scx_bpf_now() + g->period;
	g->quota = quota;
}

/*
 * An error would keep the group from being made, and nobody may lose that. So a group for which
 * there is no room counts as a part of the one above; without an entry in `slots`, of the root.
 */
s32 BPF_STRUCT_OPS_SLEEPABLE(groups_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct cgroup *above;
	struct group *g;
	u64 id = cgrp->kn->id;
	u32 slot, parent = ROOT;

	if (!cgrp->level) {
		slot = ROOT_TASKS;
		bpf_map_update_elem(&slots, &id, &slot, BPF_ANY);
		return 0;
	}
	above = bpf_cgroup_ancestor(cgrp, cgrp->level - 1);
	if (above) {
		parent = slot_of(above);
		bpf_cgroup_release(above);
	}
	slot = cgrp->level < MAX_LEVELS ? free_slot() : 0;
	g = slot ? group_at(slot) : NULL;
	if (!g) {
		bpf_map_update_elem(&slots, &id, &parent, BPF_ANY);
		return 0;
	}
	__builtin_memset(g, 0, sizeof(*g));
	g->parent = parent == ROOT_TASKS ? ROOT : parent;
	g->level = cgrp->level;
	g->weight = kernel_weight(args->weight);
#ifdef KERNEL_HAS_CGROUP_SET_BANDWIDTH /* 6.17 */
	set_quota(g, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
#endif
#ifdef KERNEL_HAS_CGROUP_INIT_IDLE /* 7.0 */
	g->idle = args->sched_idle;
#endif
	g->allowance = UNLIMITED;
	g->id = id;
	if (slot >= nr_slots)
		nr_slots = slot + 1;
	if (bpf_map_update_elem(&slots, &id, &slot, BPF_ANY)) {
		g->id = 0;
		return 0;
	}
	if (!__sync_fetch_and_add(&nr_groups, 1))
		settle_start();
	return 0;
}

void BPF_STRUCT_OPS_SLEEPABLE(groups_cgroup_exit, struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;
	u32 slot = slot_of(cgrp);
	struct group *g = group_at(slot);

	bpf_map_delete_elem(&slots, &id);
	if (!g || g->id != id)
		return;
	g->id = 0;
	g->held = NOT_HELD;
	__sync_fetch_and_sub(&nr_groups, 1);
}

/* The kernel takes a task out of its queue before it moves it, and puts it back afterwards. */
void BPF_STRUCT_OPS(groups_cgroup_move, struct task_struct *p, struct cgroup *from,
		    struct cgroup *to)
{
	struct task_ctx *t = ctx_of(p);

	if (!t)
		return;
	if (t->member.charged_at)
		group_charge(t, scx_bpf_now());
	group_quiescent(t);
	t->member.slot = slot_of(to);
}

void BPF_STRUCT_OPS(groups_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct group *g = group_at(slot_of(cgrp));

	if (g && g->id == cgrp->kn->id)
		g->weight = kernel_weight(weight);
}

#ifdef KERNEL_HAS_CGROUP_SET_BANDWIDTH
void BPF_STRUCT_OPS(groups_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
	struct group *g = group_at(slot_of(cgrp));

	if (g && g->id == cgrp->kn->id)
		set_quota(g, period_us, quota_us, burst_us);
}
#endif

#ifdef KERNEL_HAS_CGROUP_SET_IDLE
void BPF_STRUCT_OPS(groups_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	struct group *g = group_at(slot_of(cgrp));

	if (g && g->id == cgrp->kn->id)
		g->idle = idle;
}
#endif
#endif /* KERNEL_HAS_CGROUP_INIT */

#endif
