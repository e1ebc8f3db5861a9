/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO with a fixed slice. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q0 0

void BPF_STRUCT_OPS(noname_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, Q0, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(noname_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q0, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(noname_init)
{
	return scx_bpf_create_dsq(Q0, -1);
}

SCX_OPS_DEFINE(noname_ops, .enqueue = (void *)noname_enqueue, .dispatch = (void *)noname_dispatch,
	       .init = (void *)noname_init);
