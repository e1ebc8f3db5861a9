/* SPDX-License-Identifier: GPL-2.0-only */
/* Interactive work has a queue of its own, whatever used its whole slice goes to the background. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { INTERACTIVE = 10, BACKGROUND = 11 };

static s32 make(u64 id)
{
	return scx_bpf_create_dsq(id, -1);
}

void BPF_STRUCT_OPS(twoway_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_dsq_insert(p, INTERACTIVE, 3000000, enq_flags);
	else
		scx_bpf_dsq_insert(p, BACKGROUND, 12000000, enq_flags);
}

void BPF_STRUCT_OPS(twoway_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(INTERACTIVE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(twoway_init)
{
	return make(INTERACTIVE) ?: make(BACKGROUND);
}

SCX_OPS_DEFINE(twoway_ops, .enqueue = (void *)twoway_enqueue, .dispatch = (void *)twoway_dispatch,
	       .init = (void *)twoway_init, .timeout_ms = 5000U, .name = "twoway");
