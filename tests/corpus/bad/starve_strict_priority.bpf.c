/* SPDX-License-Identifier: GPL-2.0-only */
/* Two queues: whoever has a raised priority goes first. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define HIGH   0
#define NORMAL 1

void BPF_STRUCT_OPS(strict_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 queue = p->static_prio < 125 ? HIGH : NORMAL;

	scx_bpf_dsq_insert(p, queue, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(strict_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(HIGH, 0))
		scx_bpf_dsq_move_to_local(NORMAL, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(strict_init)
{
	s32 error = scx_bpf_create_dsq(HIGH, -1);

	if (error)
		return error;
	return scx_bpf_create_dsq(NORMAL, -1);
}

SCX_OPS_DEFINE(strict_ops, .enqueue = (void *)strict_enqueue, .dispatch = (void *)strict_dispatch,
	       .init = (void *)strict_init, .timeout_ms = 5000U, .name = "strict");
