/* SPDX-License-Identifier: GPL-2.0-only */
/* Wakes tasks on the neighbour of the CPU they slept on, to spread the heat. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(neighbour_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 next = prev_cpu + 1;

	if (scx_bpf_test_and_clear_cpu_idle(prev_cpu)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
		return prev_cpu;
	}
	if (next > (s32)scx_bpf_nr_cpu_ids())
		next = 0;
	return next;
}

void BPF_STRUCT_OPS(neighbour_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(neighbour_ops, .select_cpu = (void *)neighbour_select_cpu,
	       .enqueue = (void *)neighbour_enqueue, .name = "neighbour");
