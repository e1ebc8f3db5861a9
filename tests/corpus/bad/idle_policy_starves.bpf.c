/* SPDX-License-Identifier: GPL-2.0-only */
/* Runs SCHED_IDLE tasks only while nobody else wants a CPU. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { USUAL = 1, BACKGROUND };
#define SCHED_IDLE 5

static u64 turns;

void BPF_STRUCT_OPS(leftovers_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, p->policy == SCHED_IDLE ? BACKGROUND : USUAL, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(leftovers_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(USUAL, 0))
		scx_bpf_dsq_move_to_local(BACKGROUND, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(leftovers_init)
{
	return scx_bpf_create_dsq(USUAL, -1) ?: scx_bpf_create_dsq(BACKGROUND, -1);
}

SCX_OPS_DEFINE(leftovers_ops, .enqueue = (void *)leftovers_enqueue,
	       .dispatch = (void *)leftovers_dispatch, .init = (void *)leftovers_init,
	       .name = "leftovers");
