/* SPDX-License-Identifier: GPL-2.0-only */
/* Groups share by weight at each level of the tree, among those that want the CPU. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

struct share {
	u64 vtime, parent;
	u32 weight;
	s32 active;  /* its tasks that can run, and groups below that have some */
	s64 weights; /* of the active groups below */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct share);
} shares SEC(".maps");

static u64 now;

static struct share *share_at(u64 id)
{
	return bpf_map_lookup_elem(&shares, &id);
}

static u64 group_of(struct task_struct *p)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	return id;
}

/* A group that becomes active competes with its siblings, and so does each one above. */
static void count(struct task_struct *p, s32 one)
{
	u64 id = group_of(p);
	u32 level;

	bpf_for (level, 0, 32) {
		struct share *share = share_at(id), *above;
		s32 before = share ? __sync_fetch_and_add(&share->active, one) : 1;

		above = share && share->parent ? share_at(share->parent) : NULL;
		if (!above || before != (one > 0 ? 0 : 1))
			return;
		__sync_fetch_and_add(&above->weights, one * (s64)share->weight);
		id = share->parent;
	}
}

void BPF_STRUCT_OPS(g_levels_runnable, struct task_struct *p, u64 enq_flags)
{
	count(p, 1);
}

void BPF_STRUCT_OPS(g_levels_quiescent, struct task_struct *p, u64 deq_flags)
{
	count(p, -1);
}

void BPF_STRUCT_OPS(g_levels_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct share *share = share_at(group_of(p));
	u64 at = now;

	if (share) {
		if (time_before(share->vtime, now - 50000000))
			share->vtime = now - 50000000;
		at = share->vtime;
	}
	scx_bpf_dsq_insert_vtime(p, SHARED, SCX_SLICE_DFL, at, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(g_levels_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

void BPF_STRUCT_OPS(g_levels_running, struct task_struct *p)
{
	if (time_before(now, p->scx.dsq_vtime))
		now = p->scx.dsq_vtime;
}

/* Used time, divided by the group's part of the machine. */
void BPF_STRUCT_OPS(g_levels_stopping, struct task_struct *p, bool runnable)
{
	u64 id = group_of(p), used = SCX_SLICE_DFL - p->scx.slice;
	struct share *own = share_at(id);
	u32 level;

	bpf_for (level, 0, 32) {
		struct share *share = share_at(id), *above;

		above = share && share->parent ? share_at(share->parent) : NULL;
		if (!above)
			break;
		if (above->weights > share->weight)
			used = used * above->weights / share->weight;
		id = share->parent;
	}
	if (own)
		__sync_fetch_and_add(&own->vtime, used);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_levels_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct share new = {.vtime = now, .weight = args->weight};
	struct cgroup *above = cgrp->level ? bpf_cgroup_ancestor(cgrp, cgrp->level - 1) : NULL;
	u64 id = cgrp->kn->id;

	if (above) {
		new.parent = above->kn->id;
		bpf_cgroup_release(above);
	}
	bpf_map_update_elem(&shares, &id, &new, BPF_ANY);
	return 0;
}

void BPF_STRUCT_OPS(g_levels_cgroup_exit, struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;

	bpf_map_delete_elem(&shares, &id);
}

void BPF_STRUCT_OPS(g_levels_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct share *share = share_at(cgrp->kn->id), *above;

	above = share ? share_at(share->parent) : NULL;
	if (above && share->active > 0)
		__sync_fetch_and_add(&above->weights, (s64)weight - share->weight);
	if (share)
		share->weight = weight;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_levels_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(g_levels_ops, .runnable = (void *)g_levels_runnable,
	       .quiescent = (void *)g_levels_quiescent, .enqueue = (void *)g_levels_enqueue,
	       .dispatch = (void *)g_levels_dispatch, .running = (void *)g_levels_running,
	       .stopping = (void *)g_levels_stopping, .cgroup_init = (void *)g_levels_cgroup_init,
	       .cgroup_exit = (void *)g_levels_cgroup_exit,
	       .cgroup_set_weight = (void *)g_levels_cgroup_set_weight,
	       .init = (void *)g_levels_init, .name = "g_levels");
