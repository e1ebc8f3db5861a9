/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes a task from a queue where only dispatch() may. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define QUEUE 0

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(bad_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .init = (void *)bad_init,
	       .name = "t_wrong_place");
