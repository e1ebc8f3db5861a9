/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets a task that has only begun go on, if nobody else waits. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DSQ_ID 0

void BPF_STRUCT_OPS(goon_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, DSQ_ID, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(goon_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(DSQ_ID, 0))
		return;
	if (prev->scx.flags & SCX_TASK_QUEUED)
		prev->scx.slice = 5000000;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(goon_init)
{
	return scx_bpf_create_dsq(DSQ_ID, -1);
}

SCX_OPS_DEFINE(goon_ops, .enqueue = (void *)goon_enqueue, .dispatch = (void *)goon_dispatch,
	       .init = (void *)goon_init, .name = "goon");
