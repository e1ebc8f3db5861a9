/* SPDX-License-Identifier: GPL-2.0-only */
/* Lottery: the place in the line is now plus a random delay, shorter with more tickets, and
 * bounded. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DRAW 0

static u64 tickets_of(const struct task_struct *p)
{
	u64 tickets = p->scx.weight / 10;

	return tickets ? tickets : 1;
}

void BPF_STRUCT_OPS(draw_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 delay = (bpf_get_prandom_u32() % 40000000) * 10 / tickets_of(p);

	if (delay > 100000000)
		delay = 100000000;
	scx_bpf_dsq_insert_vtime(p, DRAW, 4000000, scx_bpf_now() + delay, enq_flags);
}

void BPF_STRUCT_OPS(draw_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(DRAW, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(draw_init)
{
	return scx_bpf_create_dsq(DRAW, -1);
}

SCX_OPS_DEFINE(draw_ops, .enqueue = (void *)draw_enqueue, .dispatch = (void *)draw_dispatch,
	       .init = (void *)draw_init, .name = "g_draw");
