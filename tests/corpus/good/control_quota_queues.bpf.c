/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each group, served in turn; groups that have used their quota are passed over. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAX_GROUPS 512
#define SLICE	   5000000ULL

/* Its queue has the number of its slot, and 1 added. The root is the first. */
struct group {
	u64 id; /* 0: free */
	u32 parent;
	s64 left; /* of the quota, ns */
	u64 quota, period, burst, refill_at;
};

static struct group groups[MAX_GROUPS];
static u32 turn;
/* Until when what runs on each CPU has been charged. */
static u64 charged[256];

/* Those that have no slot belong to the nearest group above that has one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} slots SEC(".maps");

struct wakeup {
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct wakeup);
} wakeups SEC(".maps");

static struct group *group_at(u32 slot)
{
	return &groups[slot % MAX_GROUPS];
}

static u32 slot_of(struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;
	u32 *slot = bpf_map_lookup_elem(&slots, &id);

	return slot ? *slot : 0;
}

/* Take that from a group and all above. True: one of them has nothing left. */
static bool charge(u32 slot, u64 ns)
{
	bool over = false;
	u32 level;

	bpf_for (level, 0, 32) {
		struct group *g = group_at(slot);
		u64 now = scx_bpf_now(), periods;
		s64 most = g->quota + g->burst;

		if (!slot)
			break;
		slot = g->parent;
		if (!g->quota || !g->period)
			continue;
		if (!time_before(now, g->refill_at)) {
			periods = (now - g->refill_at) / g->period + 1;
			g->refill_at += periods * g->period;
			g->left += periods * g->quota;
			if (g->left > most)
				g->left = most;
		}
		over |= (s64)__sync_fetch_and_sub(&g->left, ns) <= (s64)ns;
	}
	return over;
}

static bool charge_run(struct task_struct *p)
{
	u64 now = scx_bpf_now(), from;

	from = __sync_lock_test_and_set(&charged[scx_bpf_task_cpu(p) & 255], now);
	return charge(slot_of(p->cgroups->dfl_cgrp), now - from);
}

s32 BPF_STRUCT_OPS(g_queues_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;

	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);
}

void BPF_STRUCT_OPS(g_queues_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 slot = slot_of(p->cgroups->dfl_cgrp);

	/* Nobody may hold up kernel threads, or tasks that give back what they have. */
	if (p->flags & (PF_KTHREAD | PF_EXITING))
		slot = 0;
	if (enq_flags & SCX_ENQ_LAST && !charge(slot, 0)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SLICE, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, slot + 1, SLICE, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(g_queues_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 i, from = __sync_fetch_and_add(&turn, 1);

	bpf_for (i, 0, MAX_GROUPS) {
		u32 slot = (from + i) % MAX_GROUPS;

		if (scx_bpf_dsq_nr_queued(slot + 1) <= 0 || charge(slot, 0))
			continue;
		if (scx_bpf_dsq_move_to_local(slot + 1, 0)) {
			turn = slot + 1;
			return;
		}
	}
}

void BPF_STRUCT_OPS(g_queues_running, struct task_struct *p)
{
	charged[scx_bpf_task_cpu(p) & 255] = scx_bpf_now();
}

void BPF_STRUCT_OPS(g_queues_tick, struct task_struct *p)
{
	if (charge_run(p) && !(p->flags & (PF_KTHREAD | PF_EXITING)))
		p->scx.slice = 0;
}

void BPF_STRUCT_OPS(g_queues_stopping, struct task_struct *p, bool runnable)
{
	charge_run(p);
}

/* A group may have its next period while all CPUs are idle. */
static int wake(void *map, u32 *key, struct wakeup *value)
{
	s32 cpu;

	bpf_for (cpu, 0, scx_bpf_nr_cpu_ids())
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	bpf_timer_start(&value->timer, 10000000, 0);
	return 0;
}

static void limit(struct group *g, u64 period_us, u64 quota_us, u64 burst_us)
{
	g->quota = quota_us == (u64)-1 ? 0 : quota_us * 1000;
	g->period = period_us * 1000;
	g->burst = burst_us * 1000;
	g->left = g->quota;
	g->refill_at = scx_bpf_now() + g->period;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_queues_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct cgroup *above = cgrp->level ? bpf_cgroup_ancestor(cgrp, cgrp->level - 1) : NULL;
	u32 slot = 0, parent = above ? slot_of(above) : 0, i;
	u64 id = cgrp->kn->id;

	if (above)
		bpf_cgroup_release(above);
	bpf_for (i, 1, MAX_GROUPS) {
		if (!above || groups[i].id)
			continue;
		slot = i;
		break;
	}
	if (slot) {
		struct group *g = group_at(slot);

		g->id = id;
		g->parent = parent;
		limit(g, args->bw_period_us, args->bw_quota_us, args->bw_burst_us);
	}
	slot = slot ?: parent;
	bpf_map_update_elem(&slots, &id, &slot, BPF_ANY);
	return 0;
}

void BPF_STRUCT_OPS(g_queues_cgroup_exit, struct cgroup *cgrp)
{
	struct group *g = group_at(slot_of(cgrp));
	u64 id = cgrp->kn->id;

	if (g->id == id)
		g->id = 0;
	bpf_map_delete_elem(&slots, &id);
}

void BPF_STRUCT_OPS(g_queues_cgroup_set_bandwidth, struct cgroup *cgrp, u64 period_us, u64 quota_us,
		    u64 burst_us)
{
	struct group *g = group_at(slot_of(cgrp));

	if (g->id == cgrp->kn->id)
		limit(g, period_us, quota_us, burst_us);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_queues_init)
{
	struct wakeup *value;
	u32 i, key = 0;
	s32 error;

	bpf_for (i, 0, MAX_GROUPS) {
		error = scx_bpf_create_dsq(i + 1, -1);
		if (error)
			return error;
	}
	value = bpf_map_lookup_elem(&wakeups, &key);
	if (!value)
		return -ENOENT;
	bpf_timer_init(&value->timer, &wakeups, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&value->timer, wake);
	return bpf_timer_start(&value->timer, 10000000, 0);
}

SCX_OPS_DEFINE(g_queues_ops, .select_cpu = (void *)g_queues_select_cpu,
	       .enqueue = (void *)g_queues_enqueue, .dispatch = (void *)g_queues_dispatch,
	       .running = (void *)g_queues_running, .tick = (void *)g_queues_tick,
	       .stopping = (void *)g_queues_stopping, .cgroup_init = (void *)g_queues_cgroup_init,
	       .cgroup_exit = (void *)g_queues_cgroup_exit,
	       .cgroup_set_bandwidth = (void *)g_queues_cgroup_set_bandwidth,
	       .init = (void *)g_queues_init, .flags = SCX_OPS_ENQ_LAST, .name = "g_queues");
