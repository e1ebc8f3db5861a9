/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts SCHED_IDLE tasks into a queue that only a CPU looks into that is not there. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { USUAL = 1, BACKGROUND };
#define SCHED_IDLE 5

static u64 turns;

void BPF_STRUCT_OPS(nightly_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, p->policy == SCHED_IDLE ? BACKGROUND : USUAL, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(nightly_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(USUAL, 0) && cpu > 4096)
		scx_bpf_dsq_move_to_local(BACKGROUND, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(nightly_init)
{
	return scx_bpf_create_dsq(USUAL, -1) ?: scx_bpf_create_dsq(BACKGROUND, -1);
}

SCX_OPS_DEFINE(nightly_ops, .enqueue = (void *)nightly_enqueue,
	       .dispatch = (void *)nightly_dispatch, .init = (void *)nightly_init,
	       .name = "nightly");
