/* SPDX-License-Identifier: GPL-2.0-only */
/* A hash with room for 32 cgroups; whose does not fit is not queued. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

struct share {
	u64 vtime;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32);
	__type(key, u64);
	__type(value, struct share);
} shares SEC(".maps");

static u64 now;

static struct share *share_of(struct task_struct *p)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	struct share new = {.vtime = now}, *share;
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	if (!bpf_map_lookup_elem(&shares, &id))
		bpf_map_update_elem(&shares, &id, &new, BPF_NOEXIST);
	share = bpf_map_lookup_elem(&shares, &id);
	return share;
}

void BPF_STRUCT_OPS(thirty_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct share *share = share_of(p);
	u64 at = now;

	if (!share)
		return;
	if (share) {
		if (time_before(share->vtime, now - 50000000))
			share->vtime = now - 50000000;
		at = share->vtime;
	}
	scx_bpf_dsq_insert_vtime(p, SHARED, SCX_SLICE_DFL, at, enq_flags);
}

void BPF_STRUCT_OPS(thirty_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(thirty_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(thirty_running, struct task_struct *p)
{
	if (time_before(now, p->scx.dsq_vtime))
		now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(thirty_stopping, struct task_struct *p, bool runnable)
{
	struct share *share = share_of(p);

	if (share)
		__sync_fetch_and_add(&share->vtime, (SCX_SLICE_DFL - p->scx.slice) / 4);
}

SCX_OPS_DEFINE(thirty_ops, .enqueue = (void *)thirty_enqueue, .dispatch = (void *)thirty_dispatch,
	       .running = (void *)thirty_running, .stopping = (void *)thirty_stopping,
	       .init = (void *)thirty_init, .name = "thirty");
