/* SPDX-License-Identifier: GPL-2.0-only */
/* Moves everything that waits from the inbox to the line, then takes from the line; what is not due
 * goes back. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { INBOX = 1, OUTBOX };

void BPF_STRUCT_OPS(boxes_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, INBOX, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(boxes_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;

	bpf_for_each (scx_dsq, p, INBOX, 0)
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, OUTBOX, 0);
	bpf_for_each (scx_dsq, p, OUTBOX, 0)
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, INBOX, 0);
	scx_bpf_dsq_move_to_local(OUTBOX, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(boxes_init)
{
	return scx_bpf_create_dsq(INBOX, -1) ?: scx_bpf_create_dsq(OUTBOX, -1);
}

SCX_OPS_DEFINE(boxes_ops, .enqueue = (void *)boxes_enqueue, .dispatch = (void *)boxes_dispatch,
	       .init = (void *)boxes_init, .timeout_ms = 5000U, .name = "boxes");
