/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets whoever is called "svc" take the CPU from others: by its insertion, or by a kick. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

/* 0: neither. 1: SCX_ENQ_PREEMPT. 2: SCX_ENQ_HEAD and SCX_KICK_PREEMPT. 3: SCX_ENQ_HEAD alone. */
const volatile u32 how;

void BPF_STRUCT_OPS(preempt_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (p->comm[0] != 's') {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	if (how == 1)
		enq_flags |= SCX_ENQ_PREEMPT;
	else if (how)
		enq_flags |= SCX_ENQ_HEAD;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
	if (how == 2)
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_PREEMPT);
}

SCX_OPS_DEFINE(preempt_ops, .enqueue = (void *)preempt_enqueue, .name = "t_preempt");
