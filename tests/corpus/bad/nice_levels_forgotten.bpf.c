/* SPDX-License-Identifier: GPL-2.0-only */
/* Serves the queues of 36 nice levels in turn; there are 40. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LEVELS 36

static u32 turn;

void BPF_STRUCT_OPS(levels36_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 level = p->static_prio - 100;

	/* A queue for each level. */
	if (level < 0)
		level = 0;
	if (level > 39)
		level = 39;
	scx_bpf_dsq_insert(p, level, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(levels36_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 i, from = __sync_fetch_and_add(&turn, 1);

	bpf_for (i, 0, LEVELS)
		if (scx_bpf_dsq_move_to_local((from + i) % LEVELS, 0))
			return;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(levels36_init)
{
	s32 i, error;

	bpf_for (i, 0, 40) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(levels36_ops, .enqueue = (void *)levels36_enqueue,
	       .dispatch = (void *)levels36_dispatch, .init = (void *)levels36_init,
	       .name = "levels36");
