/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs the CPUs of busy tasks at full speed, given in percent. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(turbo_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(turbo_running, struct task_struct *p)
{
	u32 percent = p->static_prio <= 120 ? 100 : 50;

	scx_bpf_cpuperf_set(scx_bpf_task_cpu(p), percent * 1024 / 50);
}

SCX_OPS_DEFINE(turbo_ops, .enqueue = (void *)turbo_enqueue, .running = (void *)turbo_running,
	       .name = "turbo");
