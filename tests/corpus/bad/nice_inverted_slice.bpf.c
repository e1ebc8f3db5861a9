/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes the nice level as the length of the slice: the nicer, the longer. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

void BPF_STRUCT_OPS(nicer_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 level = p->static_prio - 100;

	scx_bpf_dsq_insert(p, SHARED, (1 + level) * 1000000, enq_flags);
}

void BPF_STRUCT_OPS(nicer_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(nicer_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(nicer_ops, .enqueue = (void *)nicer_enqueue, .dispatch = (void *)nicer_dispatch,
	       .init = (void *)nicer_init, .name = "nicer");
