/* SPDX-License-Identifier: GPL-2.0-only */
/* Queues by nice level; anything unexpected is reported loudly. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LEVELS 4

static s32 level_of(const struct task_struct *p)
{
	s32 nice = p->static_prio - 120;

	if (nice < -10)
		return 0;
	if (nice < 0)
		return 1;
	if (nice == 0)
		return 2;
	if (nice < 10)
		return 3;
	return -1;
}

static u32 round;

void BPF_STRUCT_OPS(levels_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 level = level_of(p);

	if (level < 0) {
		scx_bpf_error("%s[%d] has no level", p->comm, p->pid);
		return;
	}
	scx_bpf_dsq_insert(p, level, 2000000ULL << level, enq_flags);
}

void BPF_STRUCT_OPS(levels_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 first = __sync_fetch_and_add(&round, 1), i;

	bpf_for (i, 0, LEVELS) {
		if (scx_bpf_dsq_move_to_local((first + i) % LEVELS, 0))
			return;
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(levels_init)
{
	s32 i, error = 0;

	bpf_for (i, 0, LEVELS) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(levels_ops, .enqueue = (void *)levels_enqueue, .dispatch = (void *)levels_dispatch,
	       .init = (void *)levels_init, .name = "levels");
