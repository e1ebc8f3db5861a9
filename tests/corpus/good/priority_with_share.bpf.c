/* SPDX-License-Identifier: GPL-2.0-only */
/* Three classes by nice. The higher go first, but every fourth turn belongs to the middle and every
 * eighth to the low. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum rank { HIGH, MIDDLE, LOW, NR_RANKS };

static u64 turns;

static enum rank rank_of(const struct task_struct *p)
{
	if (p->static_prio < 120)
		return HIGH;
	return p->static_prio < 125 ? MIDDLE : LOW;
}

void BPF_STRUCT_OPS(shares_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, rank_of(p), 3000000, enq_flags);
}

void BPF_STRUCT_OPS(shares_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 turn = __sync_fetch_and_add(&turns, 1);

	if (turn % 8 == 7 && scx_bpf_dsq_move_to_local(LOW, 0))
		return;
	if (turn % 4 == 3 && scx_bpf_dsq_move_to_local(MIDDLE, 0))
		return;
	if (scx_bpf_dsq_move_to_local(HIGH, 0))
		return;
	if (scx_bpf_dsq_move_to_local(MIDDLE, 0))
		return;
	scx_bpf_dsq_move_to_local(LOW, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(shares_init)
{
	s32 i, error = 0;

	bpf_for (i, 0, NR_RANKS) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(shares_ops, .enqueue = (void *)shares_enqueue, .dispatch = (void *)shares_dispatch,
	       .init = (void *)shares_init, .name = "g_shares");
