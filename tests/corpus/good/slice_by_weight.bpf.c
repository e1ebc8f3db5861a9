/* SPDX-License-Identifier: GPL-2.0-only */
/* Weight is paid in length: slices from 1 to 16 ms, turns as they come. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TURNS 0

static u64 clamp(u64 value, u64 least, u64 most)
{
	return value < least ? least : value > most ? most : value;
}

void BPF_STRUCT_OPS(weighted_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice = clamp(scale_by_task_weight(p, 4000000), 1000000, 16000000);

	scx_bpf_dsq_insert(p, TURNS, slice, enq_flags);
}

void BPF_STRUCT_OPS(weighted_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TURNS, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(weighted_init)
{
	return scx_bpf_create_dsq(TURNS, -1);
}

SCX_OPS_DEFINE(weighted_ops, .enqueue = (void *)weighted_enqueue,
	       .dispatch = (void *)weighted_dispatch, .init = (void *)weighted_init,
	       .name = "g_weighted");
