/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts each task on CPU 0, at once or not at all; those that come back go to a queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

/* Load. Never take no for an answer. */
const volatile bool stubborn;
u64 nr_back;

s32 BPF_STRUCT_OPS(immediate_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return prev_cpu;
}

void BPF_STRUCT_OPS(immediate_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_REENQ) {
		if ((p->scx.flags & SCX_TASK_REENQ_REASON_MASK) != SCX_TASK_REENQ_IMMED)
			scx_bpf_error("reason 0x%x", p->scx.flags);
		nr_back++;
		if (!stubborn) {
			scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
			return;
		}
	}
	if (!bpf_cpumask_test_cpu(0, p->cpus_ptr))
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
	else
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON, SCX_SLICE_DFL, SCX_ENQ_IMMED);
}

void BPF_STRUCT_OPS(immediate_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	if (p->comm[0] == 'l')
		scx_bpf_exit(nr_back, "%llu came back", nr_back);
}

void BPF_STRUCT_OPS(immediate_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(immediate_ops, .select_cpu = (void *)immediate_select_cpu,
	       .enqueue = (void *)immediate_enqueue, .exit_task = (void *)immediate_exit_task,
	       .exit = (void *)immediate_exit, .name = "t_immediate");
