/* SPDX-License-Identifier: GPL-2.0-only */
/* Hashes tasks over the CPUs; the number of CPUs is given by the loader. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

const volatile u32 nr_cpus;

s32 BPF_STRUCT_OPS(hashed_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = p->pid % nr_cpus;

	if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
		cpu = prev_cpu;
	if (scx_bpf_test_and_clear_cpu_idle(cpu))
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(hashed_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(hashed_ops, .select_cpu = (void *)hashed_select_cpu,
	       .enqueue = (void *)hashed_enqueue, .name = "hashed");
