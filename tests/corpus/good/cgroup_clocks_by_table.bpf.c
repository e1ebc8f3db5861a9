/* SPDX-License-Identifier: GPL-2.0-only */
/* Cgroups are placed by clocks in a table by their ids; those that do not fit share the first. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BY_CLOCK 0
#define TABLE	 1024

/* Each cgroup has a clock of its own, by which its tasks are placed. */
static u64 clocks[TABLE];
static u64 latest;

void BPF_STRUCT_OPS(g_bytable_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	u64 id = cgrp->kn->id, at = latest;

	bpf_cgroup_release(cgrp);
	if (id < TABLE) {
		if (time_before(clocks[id], latest - 50000000))
			clocks[id] = latest - 50000000;
		at = clocks[id];
	} else {
		at = clocks[0];
	}
	scx_bpf_dsq_insert_vtime(p, BY_CLOCK, SCX_SLICE_DFL, at, enq_flags);
}
void BPF_STRUCT_OPS(g_bytable_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BY_CLOCK, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_bytable_init)
{
	return scx_bpf_create_dsq(BY_CLOCK, -1);
}

void BPF_STRUCT_OPS(g_bytable_running, struct task_struct *p)
{
	if (time_before(latest, p->scx.dsq_vtime))
		latest = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(g_bytable_stopping, struct task_struct *p, bool runnable)
{
	struct cgroup *cgrp = __COMPAT_scx_bpf_task_cgroup(p);
	u64 id = cgrp->kn->id;

	bpf_cgroup_release(cgrp);
	clocks[id < TABLE ? id : 0] += (SCX_SLICE_DFL - p->scx.slice) / 4;
}

SCX_OPS_DEFINE(g_bytable_ops, .enqueue = (void *)g_bytable_enqueue,
	       .dispatch = (void *)g_bytable_dispatch, .running = (void *)g_bytable_running,
	       .stopping = (void *)g_bytable_stopping, .init = (void *)g_bytable_init,
	       .name = "g_bytable");
