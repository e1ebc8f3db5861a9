/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps the running task while nobody waits in the global queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(peeker_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(peeker_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!prev || !bpf_ksym_exists(scx_bpf_dsq_peek))
		return;
	if (!scx_bpf_dsq_peek(SCX_DSQ_GLOBAL))
		prev->scx.slice = SCX_SLICE_DFL;
}

SCX_OPS_DEFINE(peeker_ops, .enqueue = (void *)peeker_enqueue, .dispatch = (void *)peeker_dispatch,
	       .name = "peeker");
