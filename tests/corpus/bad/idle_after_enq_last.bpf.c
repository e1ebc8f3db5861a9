/* SPDX-License-Identifier: GPL-2.0-only */
/* Handles the last runnable task of a CPU itself, to give an idle sibling a chance at it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define GLOBAL_FIFO 0

void BPF_STRUCT_OPS(lastone_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, GLOBAL_FIFO, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(lastone_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(GLOBAL_FIFO, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(lastone_init)
{
	return scx_bpf_create_dsq(GLOBAL_FIFO, -1);
}

SCX_OPS_DEFINE(lastone_ops, .enqueue = (void *)lastone_enqueue,
	       .dispatch = (void *)lastone_dispatch, .init = (void *)lastone_init,
	       .flags = SCX_OPS_ENQ_LAST, .timeout_ms = 5000U, .name = "lastone");
