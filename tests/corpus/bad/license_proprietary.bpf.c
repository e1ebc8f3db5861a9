/* SPDX-License-Identifier: GPL-2.0-only */
/* Our own slices, in the kernel's global queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "Proprietary";

const volatile u64 slice_ns = 4000000;

void BPF_STRUCT_OPS(closed_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, slice_ns, enq_flags);
}

SCX_OPS_DEFINE(closed_ops, .enqueue = (void *)closed_enqueue, .name = "closed");
