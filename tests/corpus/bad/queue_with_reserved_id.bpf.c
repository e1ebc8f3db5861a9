/* SPDX-License-Identifier: GPL-2.0-only */
/* The queue has a number that nobody else will ever use. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define PRIVATE (1ULL << 63 | 0x5c)

void BPF_STRUCT_OPS(private_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, PRIVATE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(private_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(PRIVATE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(private_init)
{
	return scx_bpf_create_dsq(PRIVATE, -1);
}

SCX_OPS_DEFINE(private_ops, .enqueue = (void *)private_enqueue,
	       .dispatch = (void *)private_dispatch, .init = (void *)private_init,
	       .name = "private");
