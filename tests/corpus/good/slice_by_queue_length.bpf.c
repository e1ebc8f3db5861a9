/* SPDX-License-Identifier: GPL-2.0-only */
/* A target latency is divided among all that wait, within bounds. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q 0

volatile u64 target_ns = 24000000;

void BPF_STRUCT_OPS(fitted_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 waiting = scx_bpf_dsq_nr_queued(Q);
	u64 slice = target_ns / (waiting > 0 ? waiting + 1 : 1);

	if (slice < 1000000)
		slice = 1000000;
	if (slice > 12000000)
		slice = 12000000;
	scx_bpf_dsq_insert(p, Q, slice, enq_flags);
}

void BPF_STRUCT_OPS(fitted_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fitted_init)
{
	return scx_bpf_create_dsq(Q, -1);
}

SCX_OPS_DEFINE(fitted_ops, .enqueue = (void *)fitted_enqueue, .dispatch = (void *)fitted_dispatch,
	       .init = (void *)fitted_init, .name = "g_fitted");
