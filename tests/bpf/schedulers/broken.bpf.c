/* SPDX-License-Identifier: GPL-2.0-only */
/* Does not compile: one name is misspelt, another does not exist. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(broken_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insrt(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	p->scx.slize = 1;
}

SCX_OPS_DEFINE(broken_ops, .enqueue = (void *)broken_enqueue, .name = "t_broken");
