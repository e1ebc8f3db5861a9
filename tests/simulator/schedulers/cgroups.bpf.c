/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends itself where the tree of cgroups, what is told of it, or where tasks are in it is not as
 * the kernel has it. Serves each cgroup from a queue of its own.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define MAX_CGROUPS 8

struct place {
	u32 weight;
	u32 tasks;
};

struct {
	__uint(type, BPF_MAP_TYPE_CGRP_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct place);
} places SEC(".maps");

u64 queues[MAX_CGROUPS];
u32 nr_queues, nr_moves, nr_weights, nr_gone;
/* Ends itself when so many cgroups have gone. */
const volatile u32 most_gone;

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what))                                                                       \
			scx_bpf_error("not so: " #what);                                           \
	} while (0)

s32 BPF_STRUCT_OPS_SLEEPABLE(cgroups_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	struct place *place =
	    bpf_cgrp_storage_get(&places, cgrp, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	u32 at;

	if (!place)
		return -ENOMEM;
	EXPECT(args->weight >= 1);
	EXPECT(!place->weight);
	place->weight = args->weight;
	nr_queues++;
	bpf_for (at, 0, MAX_CGROUPS) {
		if (queues[at])
			continue;
		queues[at] = cgrp->kn->id;
		return scx_bpf_create_dsq(cgrp->kn->id, -1);
	}
	return -ENOMEM;
}

void BPF_STRUCT_OPS(cgroups_cgroup_exit, struct cgroup *cgrp)
{
	struct place *place = bpf_cgrp_storage_get(&places, cgrp, 0, 0);
	u32 at;

	/* The root goes at the end, with tasks in it that were there. */
	EXPECT(place && (!place->tasks || cgrp->level == 0));
	bpf_for (at, 0, MAX_CGROUPS)
		if (queues[at] == cgrp->kn->id)
			queues[at] = 0;
	scx_bpf_destroy_dsq(cgrp->kn->id);
	if (++nr_gone == most_gone)
		scx_bpf_exit(nr_gone, "%u of %u cgroups are gone", nr_gone, nr_queues);
}

s32 BPF_STRUCT_OPS(cgroups_prep_move, struct task_struct *p, struct cgroup *from, struct cgroup *to)
{
	EXPECT(from->kn->id != to->kn->id);
	return 0;
}

void BPF_STRUCT_OPS(cgroups_move, struct task_struct *p, struct cgroup *from, struct cgroup *to)
{
	struct place *old = bpf_cgrp_storage_get(&places, from, 0, 0);
	struct place *new = bpf_cgrp_storage_get(&places, to, 0, 0);

	EXPECT(old && new);
	if (old && new) {
		__sync_fetch_and_sub(&old->tasks, 1);
		__sync_fetch_and_add(&new->tasks, 1);
	}
	__sync_fetch_and_add(&nr_moves, 1);
}

void BPF_STRUCT_OPS(cgroups_set_weight, struct cgroup *cgrp, u32 weight)
{
	struct place *place = bpf_cgrp_storage_get(&places, cgrp, 0, 0);

	EXPECT(place && place->weight != weight);
	if (place)
		place->weight = weight;
	__sync_fetch_and_add(&nr_weights, 1);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(cgroups_init_task, struct task_struct *p,
			     struct scx_init_task_args *args)
{
	struct place *place = bpf_cgrp_storage_get(&places, args->cgroup, 0, 0);

	EXPECT(place);
	if (place)
		__sync_fetch_and_add(&place->tasks, 1);
	return 0;
}

void BPF_STRUCT_OPS(cgroups_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	struct place *place = bpf_cgrp_storage_get(&places, cgrp, 0, 0);

	if (place)
		__sync_fetch_and_sub(&place->tasks, 1);
	bpf_cgroup_release(cgrp);
}

void BPF_STRUCT_OPS(cgroups_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p), *root;
	struct place *place = bpf_cgrp_storage_get(&places, cgrp, 0, 0);

	EXPECT(place && place->tasks);
	root = bpf_cgroup_ancestor(cgrp, 0);
	EXPECT(root && root->kn->id == 1);
	if (root)
		bpf_cgroup_release(root);
	scx_bpf_dsq_insert(p, cgrp->kn->id, 2000000, enq_flags);
	bpf_cgroup_release(cgrp);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(cgroups_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 i, turn = bpf_get_prandom_u32();

	bpf_for (i, 0, MAX_CGROUPS) {
		u32 at = (i + turn) % MAX_CGROUPS;

		if (queues[at] && scx_bpf_dsq_move_to_local(queues[at]))
			return;
	}
}

void BPF_STRUCT_OPS(cgroups_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

void BPF_STRUCT_OPS(cgroups_dump, struct scx_dump_ctx *dctx)
{
	scx_bpf_dump("cgroups %u moves %u weights %u", nr_queues, nr_moves, nr_weights);
}

/* clang-format off */
SCX_OPS_DEFINE(cgroups_ops,
	       .enqueue			= (void *)cgroups_enqueue,
	       .dispatch		= (void *)cgroups_dispatch,
	       .init_task		= (void *)cgroups_init_task,
	       .exit_task		= (void *)cgroups_exit_task,
	       .cgroup_init		= (void *)cgroups_cgroup_init,
	       .cgroup_exit		= (void *)cgroups_cgroup_exit,
	       .cgroup_prep_move	= (void *)cgroups_prep_move,
	       .cgroup_move		= (void *)cgroups_move,
	       .cgroup_set_weight	= (void *)cgroups_set_weight,
	       .dump			= (void *)cgroups_dump,
	       .exit			= (void *)cgroups_exit,
	       .name			= "t_cgroups");
/* clang-format on */
