/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO that gets somebody to run a new task at once, an idle CPU or another. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE 0

void BPF_STRUCT_OPS(pushy_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, LINE, SCX_SLICE_DFL, enq_flags);
	if (enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE | SCX_KICK_PREEMPT);
}

void BPF_STRUCT_OPS(pushy_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(pushy_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(pushy_ops, .enqueue = (void *)pushy_enqueue, .dispatch = (void *)pushy_dispatch,
	       .init = (void *)pushy_init, .name = "pushy");
