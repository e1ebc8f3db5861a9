/* SPDX-License-Identifier: GPL-2.0-only */
/* Walks round the CPUs from the last choice until one may run the task and is idle. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u32 last;

s32 BPF_STRUCT_OPS(walker_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu = last;

	while (1) {
		cpu = cpu + 1 < nr ? cpu + 1 : 0;
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) && scx_bpf_test_and_clear_cpu_idle(cpu))
			break;
	}
	last = cpu;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(walker_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(walker_ops, .select_cpu = (void *)walker_select_cpu,
	       .enqueue = (void *)walker_enqueue, .name = "walker");
