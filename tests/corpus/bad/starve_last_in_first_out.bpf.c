/* SPDX-License-Identifier: GPL-2.0-only */
/* The task that came last has the warmest cache, so it runs next. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define STACK 42

static const u64 slice_ns = 5000000;

void BPF_STRUCT_OPS(warm_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, STACK, slice_ns, enq_flags | SCX_ENQ_HEAD);
}

void BPF_STRUCT_OPS(warm_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(STACK, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(warm_init)
{
	return scx_bpf_create_dsq(STACK, -1);
}

SCX_OPS_DEFINE(warm_ops, .enqueue = (void *)warm_enqueue, .dispatch = (void *)warm_dispatch,
	       .init = (void *)warm_init, .timeout_ms = 5000U, .name = "warm");
