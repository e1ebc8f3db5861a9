/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue, by turns in order of arrival and of vtime. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

static u64 turn;

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (turn++ & 1)
		scx_bpf_dsq_insert_vtime(p, QUEUE, SCX_SLICE_DFL, turn, enq_flags);
	else
		scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(bad_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void BPF_STRUCT_OPS(bad_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .init = (void *)bad_init,
	       .exit = (void *)bad_exit, .name = "t_mixed");
