/* SPDX-License-Identifier: GPL-2.0-only */
/* Minimal FIFO with a queue of its own. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MY_DSQ 0

void BPF_STRUCT_OPS(tiny_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, MY_DSQ, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(tiny_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(MY_DSQ, 0);
}

SCX_OPS_DEFINE(tiny_ops, .enqueue = (void *)tiny_enqueue, .dispatch = (void *)tiny_dispatch,
	       .name = "tiny");
