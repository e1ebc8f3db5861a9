/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices by class: long for niced tasks, short for those in a hurry. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define CLASSES 0

void BPF_STRUCT_OPS(byclass_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 slice;

	if (p->static_prio > 120)
		slice = 10000000;
	else if (p->static_prio < 120)
		slice = 1000000;
	scx_bpf_dsq_insert(p, CLASSES, slice, enq_flags);
}

void BPF_STRUCT_OPS(byclass_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(CLASSES, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(byclass_init)
{
	return scx_bpf_create_dsq(CLASSES, -1);
}

SCX_OPS_DEFINE(byclass_ops, .enqueue = (void *)byclass_enqueue,
	       .dispatch = (void *)byclass_dispatch, .init = (void *)byclass_init,
	       .name = "byclass");
