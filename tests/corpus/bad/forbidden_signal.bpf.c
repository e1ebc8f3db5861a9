/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends whoever has run for a minute, so that nobody can hog the machine. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LIMIT_NS 60000000000ULL
#define SIGKILL	 9

void BPF_STRUCT_OPS(police_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(police_tick, struct task_struct *p)
{
	if (p->se.sum_exec_runtime > LIMIT_NS && !(p->flags & PF_KTHREAD))
		bpf_send_signal(SIGKILL);
}

SCX_OPS_DEFINE(police_ops, .enqueue = (void *)police_enqueue, .tick = (void *)police_tick,
	       .name = "police");
