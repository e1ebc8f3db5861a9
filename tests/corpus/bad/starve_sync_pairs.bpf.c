/* SPDX-License-Identifier: GPL-2.0-only */
/* A synchronous wakeup goes on where the waker is about to sleep. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(follow_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 here = bpf_get_smp_processor_id(), cpu;

	if ((wake_flags & SCX_WAKE_SYNC) && bpf_cpumask_test_cpu(here, p->cpus_ptr) &&
	    !is_migration_disabled(p) && !scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | here)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | here, SCX_SLICE_DFL, 0);
		return here;
	}
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu < 0)
		return prev_cpu;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(follow_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(follow_ops, .select_cpu = (void *)follow_select_cpu,
	       .enqueue = (void *)follow_enqueue, .timeout_ms = 5000U, .name = "follow");
