/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts in an array that is too short. The kernel's verifier would refuse it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

u32 counts[8];
u32 seen;

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 at = seen++ % 9;

	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);

	counts[at]++;
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .name = "t_past_array");
