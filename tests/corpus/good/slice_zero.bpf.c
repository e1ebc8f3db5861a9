/* SPDX-License-Identifier: GPL-2.0-only */
/* Round robin; a slice of 0 lets the kernel choose. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define RR 0

void BPF_STRUCT_OPS(rr_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, RR, 0, enq_flags);
}

void BPF_STRUCT_OPS(rr_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(RR, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(rr_init)
{
	return scx_bpf_create_dsq(RR, -1);
}

SCX_OPS_DEFINE(rr_ops, .enqueue = (void *)rr_enqueue, .dispatch = (void *)rr_dispatch,
	       .init = (void *)rr_init, .name = "rr");
