/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for what has just been woken, one for the rest, which has every third turn. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum { AWOKEN = 1, REST };

static u64 turns;

void BPF_STRUCT_OPS(levels_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (enq_flags & SCX_ENQ_WAKEUP)
		scx_bpf_dsq_insert(p, AWOKEN, 2000000, enq_flags);
	else
		scx_bpf_dsq_insert(p, REST, 6000000, enq_flags);
}

void BPF_STRUCT_OPS(levels_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 first = __sync_fetch_and_add(&turns, 1) % 3 ? AWOKEN : REST;

	if (!scx_bpf_dsq_move_to_local(first, 0))
		scx_bpf_dsq_move_to_local(AWOKEN + REST - first, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(levels_init)
{
	return scx_bpf_create_dsq(AWOKEN, -1) ?: scx_bpf_create_dsq(REST, -1);
}

SCX_OPS_DEFINE(levels_ops, .enqueue = (void *)levels_enqueue, .dispatch = (void *)levels_dispatch,
	       .init = (void *)levels_init, .name = "g_levels");
