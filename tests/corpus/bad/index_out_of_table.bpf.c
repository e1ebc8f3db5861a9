/* SPDX-License-Identifier: GPL-2.0-only */
/* Slices by nice from a table, as in the old days. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static const u64 slice_us[20] = {800,  1000, 1200, 1500, 1800, 2000, 2500, 3000, 3500, 4000,
				 4500, 5000, 5500, 6000, 6500, 7000, 7500, 8000, 9000, 10000};

#define TABLE 0

void BPF_STRUCT_OPS(table_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 nice = p->static_prio - 120;

	scx_bpf_dsq_insert(p, TABLE, slice_us[nice] * 1000, enq_flags);
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
