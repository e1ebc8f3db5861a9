/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each cgroup; a task that is moved goes with it, and queues go with their cgroups. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAX_QUEUES 512

struct place {
	u64 queue;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct place);
} places SEC(".maps");

static u64 queues[MAX_QUEUES];
static u32 turn;

s32 BPF_STRUCT_OPS_SLEEPABLE(g_goes_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	u32 i;

	bpf_for (i, 0, MAX_QUEUES) {
		if (queues[i])
			continue;
		queues[i] = cgrp->kn->id;
		return scx_bpf_create_dsq(cgrp->kn->id, -1);
	}
	return -ENOMEM;
}

void BPF_STRUCT_OPS(g_goes_cgroup_exit, struct cgroup *cgrp)
{
	u32 i;

	bpf_for (i, 0, MAX_QUEUES) {
		if (queues[i] != cgrp->kn->id)
			continue;
		queues[i] = 0;
		scx_bpf_destroy_dsq(cgrp->kn->id);
	}
}

s32 BPF_STRUCT_OPS(g_goes_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct place *place = bpf_task_storage_get(&places, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!place)
		return -ENOMEM;
	place->queue = args->cgroup->kn->id;
	return 0;
}

void BPF_STRUCT_OPS(g_goes_cgroup_move, struct task_struct *p, struct cgroup *from,
		    struct cgroup *to)
{
	struct place *place = bpf_task_storage_get(&places, p, 0, 0);

	if (place)
		place->queue = to->kn->id;
}

void BPF_STRUCT_OPS(g_goes_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct place *place = bpf_task_storage_get(&places, p, 0, 0);

	scx_bpf_dsq_insert(p, place ? place->queue : SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(g_goes_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 i, from = __sync_fetch_and_add(&turn, 1);

	bpf_for (i, 0, MAX_QUEUES) {
		u64 queue = queues[(from + i) % MAX_QUEUES];

		if (queue && scx_bpf_dsq_move_to_local(queue, 0))
			return;
	}
}

SCX_OPS_DEFINE(g_goes_ops, .enqueue = (void *)g_goes_enqueue, .dispatch = (void *)g_goes_dispatch,
	       .init_task = (void *)g_goes_init_task, .cgroup_init = (void *)g_goes_cgroup_init,
	       .cgroup_exit = (void *)g_goes_cgroup_exit, .cgroup_move = (void *)g_goes_cgroup_move,
	       .name = "g_goes");
