/* SPDX-License-Identifier: GPL-2.0-only */
/* Only chooses CPUs; what to do with the last task of a CPU is left to enqueue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(chooser_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

SCX_OPS_DEFINE(chooser_ops, .select_cpu = (void *)chooser_select_cpu, .flags = SCX_OPS_ENQ_LAST,
	       .name = "chooser");
