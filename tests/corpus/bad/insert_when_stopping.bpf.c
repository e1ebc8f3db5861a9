/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts whoever is still runnable back at the end of the line when it stops. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define ROUND 0

void BPF_STRUCT_OPS(robin_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_dsq_insert(p, ROUND, SCX_SLICE_DFL, enq_flags);
	else
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(robin_stopping, struct task_struct *p, bool runnable)
{
	if (runnable)
		scx_bpf_dsq_insert(p, ROUND, SCX_SLICE_DFL, 0);
}

void BPF_STRUCT_OPS(robin_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(ROUND, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(robin_init)
{
	return scx_bpf_create_dsq(ROUND, -1);
}

SCX_OPS_DEFINE(robin_ops, .enqueue = (void *)robin_enqueue, .stopping = (void *)robin_stopping,
	       .dispatch = (void *)robin_dispatch, .init = (void *)robin_init, .name = "robin");
