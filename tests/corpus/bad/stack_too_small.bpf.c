/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks at the length of every CPU's queue before it chooses. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAX_CPUS_SEEN 128

s32 BPF_STRUCT_OPS(survey_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	volatile u64 lengths[MAX_CPUS_SEEN] = {};
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;
	s32 best = prev_cpu;

	bpf_for (cpu, 0, nr) {
		if (cpu >= MAX_CPUS_SEEN)
			break;
		lengths[cpu] = scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu);
		if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr) &&
		    lengths[cpu] < lengths[(u32)best % MAX_CPUS_SEEN])
			best = cpu;
	}
	return best;
}

void BPF_STRUCT_OPS(survey_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(survey_ops, .select_cpu = (void *)survey_select_cpu,
	       .enqueue = (void *)survey_enqueue, .name = "survey");
