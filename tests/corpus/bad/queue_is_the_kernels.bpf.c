/* SPDX-License-Identifier: GPL-2.0-only */
/* Own fast lane, and the kernel's global queue for everybody else. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FAST 1

void BPF_STRUCT_OPS(lanes_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, p->scx.weight > 100 ? FAST : SCX_DSQ_GLOBAL, SCX_SLICE_DFL,
			   enq_flags);
}

void BPF_STRUCT_OPS(lanes_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(FAST, 0))
		scx_bpf_dsq_move_to_local(SCX_DSQ_GLOBAL, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(lanes_init)
{
	return scx_bpf_create_dsq(FAST, -1);
}

SCX_OPS_DEFINE(lanes_ops, .enqueue = (void *)lanes_enqueue, .dispatch = (void *)lanes_dispatch,
	       .init = (void *)lanes_init, .name = "lanes");
