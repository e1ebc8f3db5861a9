/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes a ticket in enqueue, and waits until the tickets before it have been served. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static volatile u64 next_ticket, serving;

#define TICKETS 0

void BPF_STRUCT_OPS(ticket_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 mine = __sync_fetch_and_add(&next_ticket, 1);

	while (serving != mine)
		;
	scx_bpf_dsq_insert(p, TICKETS, SCX_SLICE_DFL, enq_flags);
	if (mine % 2 == 0)
		serving++;
}

void BPF_STRUCT_OPS(ticket_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TICKETS, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(ticket_init)
{
	return scx_bpf_create_dsq(TICKETS, -1);
}

SCX_OPS_DEFINE(ticket_ops, .enqueue = (void *)ticket_enqueue, .dispatch = (void *)ticket_dispatch,
	       .init = (void *)ticket_init, .name = "ticket");
