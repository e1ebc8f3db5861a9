/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each cgroup right below the root, which serves all that is in it, in turn. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define ROOT_QUEUE 1
#define MAX_QUEUES 256

/* Ids of the queues, served in turn. */
static u64 queues[MAX_QUEUES];
static u32 nr_queues, turn;

s32 BPF_STRUCT_OPS_SLEEPABLE(g_slices_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	u32 i;

	/* Those right below the root have one, and the root itself. */
	if (cgrp->level > 1)
		return 0;
	bpf_for (i, 0, MAX_QUEUES) {
		if (queues[i])
			continue;
		queues[i] = cgrp->kn->id;
		if (i >= nr_queues)
			nr_queues = i + 1;
		return scx_bpf_create_dsq(cgrp->kn->id, -1);
	}
	return -ENOMEM;
}

void BPF_STRUCT_OPS(g_slices_cgroup_exit, struct cgroup *cgrp)
{
	u32 i;

	bpf_for (i, 0, MAX_QUEUES) {
		if (queues[i] != cgrp->kn->id)
			continue;
		queues[i] = 0;
		scx_bpf_destroy_dsq(cgrp->kn->id);
	}
}

void BPF_STRUCT_OPS(g_slices_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	struct cgroup *above = cgrp->level > 1 ? bpf_cgroup_ancestor(cgrp, 1) : NULL;
	u64 id = above ? above->kn->id : cgrp->kn->id;

	if (above)
		bpf_cgroup_release(above);
	bpf_cgroup_release(cgrp);
	scx_bpf_dsq_insert(p, id, SCX_SLICE_DFL, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(g_slices_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 i, from = __sync_fetch_and_add(&turn, 1), nr = nr_queues;

	if (!nr)
		return;
	bpf_for (i, 0, MAX_QUEUES) {
		u32 at = (from + i) % nr;

		if (i >= nr)
			break;
		if (at < MAX_QUEUES && queues[at] && scx_bpf_dsq_move_to_local(queues[at], 0))
			return;
	}
}

SCX_OPS_DEFINE(g_slices_ops, .enqueue = (void *)g_slices_enqueue,
	       .dispatch = (void *)g_slices_dispatch, .cgroup_init = (void *)g_slices_cgroup_init,
	       .cgroup_exit = (void *)g_slices_cgroup_exit, .name = "g_slices");
