/* SPDX-License-Identifier: GPL-2.0-only */
/* Weighted slices in a global FIFO; an idle CPU is told of new work. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED_DSQ 0

void BPF_STRUCT_OPS(slices_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice = 3000000ULL * p->scx.weight / 100;

	if (slice < 500000)
		slice = 500000;
	if (slice > 20000000)
		slice = 20000000;
	scx_bpf_dsq_insert(p, SHARED_DSQ, slice, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_pick_idle_cpu(p->cpus_ptr, 0), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(slices_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED_DSQ, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(slices_init)
{
	return scx_bpf_create_dsq(SHARED_DSQ, -1);
}

SCX_OPS_DEFINE(slices_ops, .enqueue = (void *)slices_enqueue, .dispatch = (void *)slices_dispatch,
	       .init = (void *)slices_init, .name = "slices");
