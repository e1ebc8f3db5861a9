/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroups share by vtime in a hash; those that do not fit share one place. */
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

/* Of those for whom there is no room. */
static struct share others;

static struct share *share_of(struct task_struct *p)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	struct share new = {.vtime = now}, *share;
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	if (!bpf_map_lookup_elem(&shares, &id))
		bpf_map_update_elem(&shares, &id, &new, BPF_NOEXIST);
	share = bpf_map_lookup_elem(&shares, &id);
	return share ?: &others;
}

void BPF_STRUCT_OPS(g_thirty_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct share *share = share_of(p);
	u64 at = now;

	if (share) {
		if (time_before(share->vtime, now - 50000000))
			share->vtime = now - 50000000;
		at = share->vtime;
	}
	scx_bpf_dsq_insert_vtime(p, SHARED, SCX_SLICE_DFL, at, enq_flags);
}

void BPF_STRUCT_OPS(g_thirty_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_thirty_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(g_thirty_running, struct task_struct *p)
{
	if (time_before(now, p->scx.dsq_vtime))
		now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(g_thirty_stopping, struct task_struct *p, bool runnable)
{
	struct share *share = share_of(p);

	if (share)
		__sync_fetch_and_add(&share->vtime, (SCX_SLICE_DFL - p->scx.slice) / 4);
}

SCX_OPS_DEFINE(g_thirty_ops, .enqueue = (void *)g_thirty_enqueue,
	       .dispatch = (void *)g_thirty_dispatch, .running = (void *)g_thirty_running,
	       .stopping = (void *)g_thirty_stopping, .init = (void *)g_thirty_init,
	       .name = "g_thirty");
