/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices shrink with the length of the queue: a target latency shared by all that wait. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q 0

const volatile u64 latency_ns = 20000000;

void BPF_STRUCT_OPS(target_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 waiting = scx_bpf_dsq_nr_queued(Q);
	u64 slice = latency_ns / (u64)waiting;

	if (slice < 1000000)
		slice = 1000000;
	scx_bpf_dsq_insert(p, Q, slice, enq_flags);
}

void BPF_STRUCT_OPS(target_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(target_init)
{
	return scx_bpf_create_dsq(Q, -1);
}

SCX_OPS_DEFINE(target_ops, .enqueue = (void *)target_enqueue, .dispatch = (void *)target_dispatch,
	       .init = (void *)target_init, .name = "target");
