/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What most people write first, and what the kernel's scx_simple does: one first-in, first-out
 * queue for all CPUs. It is here to be compared with.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

s32 BPF_STRUCT_OPS(global_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(global_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(global_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(global_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void BPF_STRUCT_OPS(global_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(global_ops,
	       .select_cpu	= (void *)global_select_cpu,
	       .enqueue		= (void *)global_enqueue,
	       .dispatch	= (void *)global_dispatch,
	       .init		= (void *)global_init,
	       .exit		= (void *)global_exit,
	       .timeout_ms	= 5000U,
	       .name		= "global_fifo");
/* clang-format on */
