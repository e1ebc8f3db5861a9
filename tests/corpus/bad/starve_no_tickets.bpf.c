/* SPDX-License-Identifier: GPL-2.0-only */
/* Lottery: each round a task draws as many lots as it has tickets, and the best lot of all goes
 * first. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define HALL 0
/* As many tickets as the weight is above that of nice 5. */
#define BASE_WEIGHT 33

static u64 draw(u64 tickets)
{
	u64 best = 1ULL << 62, lot;

	if (tickets > 32)
		tickets = 32;
	bpf_repeat (tickets) {
		lot = bpf_get_prandom_u32();
		if (lot < best)
			best = lot;
	}
	return best;
}

void BPF_STRUCT_OPS(lottery_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 weight = p->scx.weight;
	u64 tickets = weight > BASE_WEIGHT ? (weight - BASE_WEIGHT) / 8 : 0;

	scx_bpf_dsq_insert_vtime(p, HALL, SCX_SLICE_DFL, draw(tickets), enq_flags);
}

void BPF_STRUCT_OPS(lottery_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(HALL, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(lottery_init)
{
	return scx_bpf_create_dsq(HALL, -1);
}

SCX_OPS_DEFINE(lottery_ops, .enqueue = (void *)lottery_enqueue,
	       .dispatch = (void *)lottery_dispatch, .init = (void *)lottery_init,
	       .timeout_ms = 5000U, .name = "lottery");
