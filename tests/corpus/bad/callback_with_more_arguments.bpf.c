/* SPDX-License-Identifier: GPL-2.0-only */
/* Dispatches more at once when asked to by flags. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MANY 0

void BPF_STRUCT_OPS(flagged_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, MANY, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(flagged_dispatch, s32 cpu, struct task_struct *prev, u64 dispatch_flags)
{
	u32 count = dispatch_flags & 1 ? 4 : 1;

	bpf_repeat (count) {
		if (!scx_bpf_dsq_move_to_local(MANY, 0))
			break;
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(flagged_init)
{
	return scx_bpf_create_dsq(MANY, -1);
}

SCX_OPS_DEFINE(flagged_ops, .enqueue = (void *)flagged_enqueue,
	       .dispatch = (void *)flagged_dispatch, .init = (void *)flagged_init,
	       .name = "flagged");
