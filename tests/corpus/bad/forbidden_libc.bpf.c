/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices by a square root, as published. */
#include <scx/common.bpf.h>
#include <math.h>
#include <stdio.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(rooted_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice = 1000000 + 100000 * sqrt(p->scx.weight);

	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice, enq_flags);
}

SCX_OPS_DEFINE(rooted_ops, .enqueue = (void *)rooted_enqueue, .name = "rooted");
