/* SPDX-License-Identifier: GPL-2.0-only */
/* SCHED_IDLE tasks have a queue of their own, which has every fiftieth turn. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { USUAL = 1, BACKGROUND };
#define SCHED_IDLE 5

static u64 turns;

void BPF_STRUCT_OPS(g_fiftieth_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, p->policy == SCHED_IDLE ? BACKGROUND : USUAL, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(g_fiftieth_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 first = __sync_fetch_and_add(&turns, 1) % 50 ? USUAL : BACKGROUND;

	if (!scx_bpf_dsq_move_to_local(first, 0))
		scx_bpf_dsq_move_to_local(USUAL + BACKGROUND - first, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(g_fiftieth_init)
{
	return scx_bpf_create_dsq(USUAL, -1) ?: scx_bpf_create_dsq(BACKGROUND, -1);
}

SCX_OPS_DEFINE(g_fiftieth_ops, .enqueue = (void *)g_fiftieth_enqueue,
	       .dispatch = (void *)g_fiftieth_dispatch, .init = (void *)g_fiftieth_init,
	       .name = "g_fiftieth");
