/* SPDX-License-Identifier: GPL-2.0-only */
/* A synchronous wakeup stays on the waker's CPU when nobody else waits. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE 0

s32 BPF_STRUCT_OPS(follow_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 here = bpf_get_smp_processor_id(), cpu;

	if ((wake_flags & SCX_WAKE_SYNC) && bpf_cpumask_test_cpu(here, p->cpus_ptr) &&
	    !is_migration_disabled(p) && !scx_bpf_dsq_nr_queued(LINE) &&
	    !scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | here)) {
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
	scx_bpf_dsq_insert(p, LINE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(follow_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(follow_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(follow_ops, .select_cpu = (void *)follow_select_cpu,
	       .enqueue = (void *)follow_enqueue, .dispatch = (void *)follow_dispatch,
	       .init = (void *)follow_init, .name = "g_follow");
