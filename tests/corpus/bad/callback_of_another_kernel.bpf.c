/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts the queue's tasks back when a CPU is taken over by another class. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BACK 0

void BPF_STRUCT_OPS(release_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, BACK, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(release_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BACK, 0);
}

void BPF_STRUCT_OPS(release_cpu_preempted, s32 cpu)
{
	scx_bpf_reenqueue_local();
}

s32 BPF_STRUCT_OPS_SLEEPABLE(release_init)
{
	return scx_bpf_create_dsq(BACK, -1);
}

SCX_OPS_DEFINE(release_ops, .enqueue = (void *)release_enqueue,
	       .dispatch = (void *)release_dispatch, .cpu_preempted = (void *)release_cpu_preempted,
	       .init = (void *)release_init, .name = "release");
