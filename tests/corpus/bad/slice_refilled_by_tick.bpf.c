/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO; a task that is making progress keeps its CPU. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FIFO_DSQ 0

void BPF_STRUCT_OPS(keeper_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, FIFO_DSQ, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(keeper_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FIFO_DSQ, 0);
}

void BPF_STRUCT_OPS(keeper_tick, struct task_struct *p)
{
	if (p->scx.slice < SCX_SLICE_DFL / 2)
		p->scx.slice = SCX_SLICE_DFL;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(keeper_init)
{
	return scx_bpf_create_dsq(FIFO_DSQ, -1);
}

SCX_OPS_DEFINE(keeper_ops, .enqueue = (void *)keeper_enqueue, .dispatch = (void *)keeper_dispatch,
	       .tick = (void *)keeper_tick, .init = (void *)keeper_init, .timeout_ms = 5000U,
	       .name = "keeper");
