/* SPDX-License-Identifier: GPL-2.0-only */
/* Hears of weights that change, and takes those from before it was loaded for the usual one. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

struct share {
	u64 vtime;
	u32 weight;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct share);
} shares SEC(".maps");

static u64 now;

static struct share *share_of(struct task_struct *p)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	return bpf_map_lookup_elem(&shares, &id);
}

void BPF_STRUCT_OPS(changes_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct share *share = share_of(p);
	u64 at = now;

	if (share) {
		if (time_before(share->vtime, now - 50000000))
			share->vtime = now - 50000000;
		at = share->vtime;
	}
	scx_bpf_dsq_insert_vtime(p, SHARED, SCX_SLICE_DFL, at, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(changes_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

void BPF_STRUCT_OPS(changes_running, struct task_struct *p)
{
	if (time_before(now, p->scx.dsq_vtime))
		now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(changes_stopping, struct task_struct *p, bool runnable)
{
	struct share *share = share_of(p);

	if (share)
		__sync_fetch_and_add(&share->vtime,
				     (SCX_SLICE_DFL - p->scx.slice) * 100 / share->weight);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(changes_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct share new = {.vtime = now, .weight = 100};
	u64 id = cgrp->kn->id;

	bpf_map_update_elem(&shares, &id, &new, BPF_ANY);
	return 0;
}

void BPF_STRUCT_OPS(changes_cgroup_exit, struct cgroup *cgrp)
{
	u64 id = cgrp->kn->id;

	bpf_map_delete_elem(&shares, &id);
}

void BPF_STRUCT_OPS(changes_cgroup_set_weight, struct cgroup *cgrp, u32 weight)
{
	u64 id = cgrp->kn->id;
	struct share *share = bpf_map_lookup_elem(&shares, &id);

	if (share)
		share->weight = weight;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(changes_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(changes_ops, .enqueue = (void *)changes_enqueue,
	       .dispatch = (void *)changes_dispatch, .running = (void *)changes_running,
	       .stopping = (void *)changes_stopping, .cgroup_init = (void *)changes_cgroup_init,
	       .cgroup_exit = (void *)changes_cgroup_exit,
	       .cgroup_set_weight = (void *)changes_cgroup_set_weight, .init = (void *)changes_init,
	       .name = "changes");
