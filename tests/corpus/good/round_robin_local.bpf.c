/* SPDX-License-Identifier: GPL-2.0-only */
/* Round robin on each CPU for itself; wakeups and forks go to an idle CPU, else anywhere. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(around_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 cpu = scx_bpf_pick_any_cpu(p->cpus_ptr, 0);

	return cpu >= 0 ? cpu : prev_cpu;
}

void BPF_STRUCT_OPS(around_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, 2000000, enq_flags);
}

SCX_OPS_DEFINE(around_ops, .select_cpu = (void *)around_select_cpu,
	       .enqueue = (void *)around_enqueue, .name = "g_around");
