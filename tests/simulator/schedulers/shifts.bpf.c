/* SPDX-License-Identifier: GPL-2.0-only */
/* Shifts by more bits than there are, which BPF and C do not mean the same by. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

u64 mask;
u32 seen;

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	seen++;

	mask |= 1ULL << seen * 8;
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .name = "t_shifts");
