/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue of its own, with the names of the documentation that was at hand. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DSQ 0

void BPF_STRUCT_OPS(olddoc_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_enqueue(p, DSQ, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(olddoc_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_dequeue_to_local(DSQ);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(olddoc_init)
{
	return scx_bpf_create_dsq(DSQ, -1);
}

SCX_OPS_DEFINE(olddoc_ops, .enqueue = (void *)olddoc_enqueue, .dispatch = (void *)olddoc_dispatch,
	       .init = (void *)olddoc_init, .name = "olddoc");
