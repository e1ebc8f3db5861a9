/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues for CPUs and for caches, in ranges of their own. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define CPU_BASE    0x1000
#define SHARED_BASE 0x2000

static u64 cpu_dsq(s32 cpu)
{
	return CPU_BASE | cpu;
}

void BPF_STRUCT_OPS(ranges_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (p->nr_cpus_allowed == 1)
		scx_bpf_dsq_insert(p, cpu_dsq(scx_bpf_task_cpu(p)), SCX_SLICE_DFL, enq_flags);
	else
		scx_bpf_dsq_insert(p, SHARED_BASE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(ranges_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(cpu_dsq(cpu), 0))
		scx_bpf_dsq_move_to_local(SHARED_BASE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(ranges_init)
{
	s32 error = scx_bpf_create_dsq(SHARED_BASE, -1), cpu, nr = scx_bpf_nr_cpu_ids();

	bpf_for (cpu, 0, nr) {
		if (error)
			break;
		error = scx_bpf_create_dsq(CPU_BASE + 1 + cpu, -1);
	}
	return error;
}

SCX_OPS_DEFINE(ranges_ops, .enqueue = (void *)ranges_enqueue, .dispatch = (void *)ranges_dispatch,
	       .init = (void *)ranges_init, .name = "ranges");
