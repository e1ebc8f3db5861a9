/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues what has just been woken; whoever used up the slice stays where it is. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 7

const volatile u64 slice_ns = 4000000;

s32 BPF_STRUCT_OPS(wake_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	return cpu;
}

void BPF_STRUCT_OPS(wake_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_dsq_insert(p, SHARED, slice_ns, enq_flags);
}

void BPF_STRUCT_OPS(wake_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(wake_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(wake_ops, .select_cpu = (void *)wake_select_cpu, .enqueue = (void *)wake_enqueue,
	       .dispatch = (void *)wake_dispatch, .init = (void *)wake_init, .timeout_ms = 5000U,
	       .name = "wake");
