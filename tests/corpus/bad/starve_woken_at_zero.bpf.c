/* SPDX-License-Identifier: GPL-2.0-only */
/* Fair by CPU time used; who slept has made up for it and begins anew. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define RUNQUEUE 0

struct used {
	u64 vtime, since;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct used);
} used SEC(".maps");

static struct used *of(struct task_struct *p)
{
	return bpf_task_storage_get(&used, p, 0, 0);
}

void BPF_STRUCT_OPS(usage_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct used *u = of(p);

	if (u && (enq_flags & SCX_ENQ_WAKEUP))
		u->vtime = 0;
	scx_bpf_dsq_insert_vtime(p, RUNQUEUE, 4000000, u ? u->vtime : 0, enq_flags);
}

void BPF_STRUCT_OPS(usage_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(RUNQUEUE, 0);
}

void BPF_STRUCT_OPS(usage_running, struct task_struct *p)
{
	struct used *u = of(p);

	if (u)
		u->since = scx_bpf_now();
}

void BPF_STRUCT_OPS(usage_stopping, struct task_struct *p, bool runnable)
{
	struct used *u = of(p);

	if (u)
		u->vtime += (scx_bpf_now() - u->since) * 100 / p->scx.weight;
}

s32 BPF_STRUCT_OPS(usage_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	struct used zero = {};

	if (!bpf_task_storage_get(&used, p, &zero, BPF_LOCAL_STORAGE_GET_F_CREATE))
		return -ENOMEM;
	return 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(usage_init)
{
	return scx_bpf_create_dsq(RUNQUEUE, -1);
}

SCX_OPS_DEFINE(usage_ops, .enqueue = (void *)usage_enqueue, .dispatch = (void *)usage_dispatch,
	       .running = (void *)usage_running, .stopping = (void *)usage_stopping,
	       .init_task = (void *)usage_init_task, .init = (void *)usage_init,
	       .timeout_ms = 5000U, .name = "usage");
