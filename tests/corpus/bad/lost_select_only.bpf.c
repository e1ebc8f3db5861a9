/* SPDX-License-Identifier: GPL-2.0-only */
/* Wakeups go straight to the chosen CPU; enqueue only keeps count. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u64 nr_selected, nr_enqueued;

s32 BPF_STRUCT_OPS(direct_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	__sync_fetch_and_add(&nr_selected, 1);
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(direct_enqueue, struct task_struct *p, u64 enq_flags)
{
	__sync_fetch_and_add(&nr_enqueued, 1);
}

SCX_OPS_DEFINE(direct_ops, .select_cpu = (void *)direct_select_cpu,
	       .enqueue = (void *)direct_enqueue, .timeout_ms = 5000U, .name = "direct");
