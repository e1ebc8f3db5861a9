/* SPDX-License-Identifier: GPL-2.0-only */
/* Batch work runs without interruption: nobody is preempted, tasks give way when they sleep. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BATCH 0

s32 BPF_STRUCT_OPS(batch_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_INF, 0);
	return cpu;
}

void BPF_STRUCT_OPS(batch_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, BATCH, SCX_SLICE_INF, enq_flags);
}

void BPF_STRUCT_OPS(batch_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BATCH, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(batch_init)
{
	return scx_bpf_create_dsq(BATCH, -1);
}

SCX_OPS_DEFINE(batch_ops, .select_cpu = (void *)batch_select_cpu, .enqueue = (void *)batch_enqueue,
	       .dispatch = (void *)batch_dispatch, .init = (void *)batch_init, .timeout_ms = 5000U,
	       .name = "batchwork");
