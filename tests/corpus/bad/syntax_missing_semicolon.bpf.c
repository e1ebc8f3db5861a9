/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO, three milliseconds each. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(draft_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice = 3000000

	    scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice, enq_flags);
}

SCX_OPS_DEFINE(draft_ops, .enqueue = (void *)draft_enqueue, .name = "draft");
