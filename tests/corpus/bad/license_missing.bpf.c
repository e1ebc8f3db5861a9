/* SPDX-License-Identifier: GPL-2.0-only */
/* The smallest scheduler there is: the kernel's global queue for all. */
#include <scx/common.bpf.h>

void BPF_STRUCT_OPS(nolicense_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(nolicense_ops, .enqueue = (void *)nolicense_enqueue, .name = "nolicense");
