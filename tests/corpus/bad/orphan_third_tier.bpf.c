/* SPDX-License-Identifier: GPL-2.0-only */
/* Tiers by nice; three are made, for later. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TIER(n)	 (0x100 + (n))
#define NR_TIERS 3

static u32 tier_of(const struct task_struct *p)
{
	s32 nice = p->static_prio - 120;

	return nice < 0 ? 0 : nice < 10 ? 1 : 2;
}

void BPF_STRUCT_OPS(tiers_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, TIER(tier_of(p)), SCX_SLICE_DFL, enq_flags);
}

static u32 turn;

void BPF_STRUCT_OPS(tiers_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 first = __sync_fetch_and_add(&turn, 1) & 1;

	if (!scx_bpf_dsq_move_to_local(TIER(first), 0))
		scx_bpf_dsq_move_to_local(TIER(!first), 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(tiers_init)
{
	s32 i, error = 0;

	bpf_for (i, 0, NR_TIERS) {
		error = scx_bpf_create_dsq(TIER(i), -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(tiers_ops, .enqueue = (void *)tiers_enqueue, .dispatch = (void *)tiers_dispatch,
	       .init = (void *)tiers_init, .timeout_ms = 5000U, .name = "tiers");
