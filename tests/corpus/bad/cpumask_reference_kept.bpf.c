/* SPDX-License-Identifier: GPL-2.0-only */
/* Prefers a CPU whose sibling is idle as well, then any idle one. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(core_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	const struct cpumask *cores = scx_bpf_get_idle_smtmask();
	s32 cpu = prev_cpu;

	if (bpf_cpumask_intersects(cores, p->cpus_ptr))
		cpu = bpf_cpumask_any_and_distribute(cores, p->cpus_ptr);
	if (cpu >= (s32)scx_bpf_nr_cpu_ids())
		cpu = prev_cpu;
	if (scx_bpf_test_and_clear_cpu_idle(cpu))
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(core_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(core_ops, .select_cpu = (void *)core_select_cpu, .enqueue = (void *)core_enqueue,
	       .name = "core");
