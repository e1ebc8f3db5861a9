/* SPDX-License-Identifier: GPL-2.0-only */
/* Notes which groups are idle, and serves them like all others. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { USUAL = 1, IDLE };
#define SLICE 5000000ULL

/* Groups with cpu.idle. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} idle_groups SEC(".maps");

static bool is_idle(struct task_struct *p)
{
	struct cgroup *cgrp = p->cgroups->dfl_cgrp, *group;
	bool idle = false;
	s32 level;
	u64 id;

	bpf_for (level, 1, 32) {
		group = level <= cgrp->level ? bpf_cgroup_ancestor(cgrp, level) : NULL;
		if (!group)
			break;
		id = group->kn->id;
		bpf_cgroup_release(group);
		idle |= bpf_map_lookup_elem(&idle_groups, &id) != NULL;
	}
	return idle;
}

void BPF_STRUCT_OPS(asusual_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, is_idle(p) ? IDLE : USUAL, SLICE, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(asusual_dispatch, s32 cpu, struct task_struct *prev)
{
	static bool turn;

	turn = !turn;
	if (turn && scx_bpf_dsq_move_to_local(IDLE, 0))
		return;
	if (scx_bpf_dsq_move_to_local(USUAL, 0))
		return;
	/* What runs here is in no queue, and goes on before an idle group. */
	if (prev && prev->scx.flags & SCX_TASK_QUEUED && !is_idle(prev))
		prev->scx.slice = SLICE;
	else
		scx_bpf_dsq_move_to_local(IDLE, 0);
}

static void note(struct cgroup *cgrp, bool idle)
{
	u64 id = cgrp->kn->id;
	u32 one = 1;

	if (idle)
		bpf_map_update_elem(&idle_groups, &id, &one, BPF_ANY);
	else
		bpf_map_delete_elem(&idle_groups, &id);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(asusual_cgroup_init, struct cgroup *cgrp,
			     struct scx_cgroup_init_args *args)
{
	note(cgrp, args->sched_idle);
	return 0;
}

void BPF_STRUCT_OPS(asusual_cgroup_exit, struct cgroup *cgrp)
{
	note(cgrp, false);
}

void BPF_STRUCT_OPS(asusual_cgroup_set_idle, struct cgroup *cgrp, bool idle)
{
	note(cgrp, idle);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(asusual_init)
{
	return scx_bpf_create_dsq(USUAL, -1) ?: scx_bpf_create_dsq(IDLE, -1);
}

SCX_OPS_DEFINE(asusual_ops, .enqueue = (void *)asusual_enqueue,
	       .dispatch = (void *)asusual_dispatch, .cgroup_init = (void *)asusual_cgroup_init,
	       .cgroup_exit = (void *)asusual_cgroup_exit,
	       .cgroup_set_idle = (void *)asusual_cgroup_set_idle, .init = (void *)asusual_init,
	       .name = "asusual");
