/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices by nice from a table, as in the old days. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static const u64 slice_us[20] = {2000, 2050, 2100, 2150, 2200, 2250, 2300, 2350, 2400, 2450,
				 2500, 2550, 2600, 2650, 2700, 2750, 2800, 2850, 2900, 2950};

#define TABLE 0

void BPF_STRUCT_OPS(table_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 nice = p->static_prio - 120;
	u64 slice = slice_us[nice];

	/* Whatever was read there. */
	if (slice < 2000 || slice > 3000)
		slice = 2000;
	scx_bpf_dsq_insert(p, TABLE, slice * 1000, enq_flags);
}

void BPF_STRUCT_OPS(table_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TABLE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(table_init)
{
	return scx_bpf_create_dsq(TABLE, -1);
}

SCX_OPS_DEFINE(table_ops, .enqueue = (void *)table_enqueue, .dispatch = (void *)table_dispatch,
	       .init = (void *)table_init, .name = "table");
