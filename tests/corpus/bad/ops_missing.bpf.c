/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO with slices by weight. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q0 0

void BPF_STRUCT_OPS(noops_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, Q0, scale_by_task_weight(p, 3000000), enq_flags);
}

void BPF_STRUCT_OPS(noops_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q0, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(noops_init)
{
	return scx_bpf_create_dsq(Q0, -1);
}
