/* SPDX-License-Identifier: GPL-2.0-only */
/* Cheap randomness for a fair tie-break: the low bits of the stack pointer. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FAIRISH 0

static u64 noise(void)
{
	u64 value;

	asm volatile("%0 = r10" : "=r"(value));
	return value & 0xff;
}

void BPF_STRUCT_OPS(noisy_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert_vtime(p, FAIRISH, SCX_SLICE_DFL, scx_bpf_now() + noise(), enq_flags);
}

void BPF_STRUCT_OPS(noisy_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FAIRISH, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(noisy_init)
{
	return scx_bpf_create_dsq(FAIRISH, -1);
}

SCX_OPS_DEFINE(noisy_ops, .enqueue = (void *)noisy_enqueue, .dispatch = (void *)noisy_dispatch,
	       .init = (void *)noisy_init, .name = "noisy");
