/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes the last task of a CPU as well, and hands it back at once. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FIFO 0

void BPF_STRUCT_OPS(last_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_LAST) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, FIFO, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(last_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FIFO, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(last_init)
{
	return scx_bpf_create_dsq(FIFO, -1);
}

SCX_OPS_DEFINE(last_ops, .enqueue = (void *)last_enqueue, .dispatch = (void *)last_dispatch,
	       .init = (void *)last_init, .flags = SCX_OPS_ENQ_LAST, .name = "g_last");
