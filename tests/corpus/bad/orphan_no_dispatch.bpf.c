/* SPDX-License-Identifier: GPL-2.0-only */
/* Shortest remaining slice first, in one queue ordered by vtime. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BY_SLICE 1

void BPF_STRUCT_OPS(srf_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 left = p->scx.slice ?: SCX_SLICE_DFL;

	scx_bpf_dsq_insert_vtime(p, BY_SLICE, SCX_SLICE_DFL, scx_bpf_now() + left, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(srf_init)
{
	return scx_bpf_create_dsq(BY_SLICE, -1);
}

SCX_OPS_DEFINE(srf_ops, .enqueue = (void *)srf_enqueue, .init = (void *)srf_init,
	       .timeout_ms = 5000U, .name = "srf");
