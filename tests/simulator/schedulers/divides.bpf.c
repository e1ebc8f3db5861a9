/* SPDX-License-Identifier: GPL-2.0-only */
/* Divides by zero at the first tick of work. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

volatile u64 nothing;
u64 result;

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	result = 100 / nothing;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .name = "t_divides");
