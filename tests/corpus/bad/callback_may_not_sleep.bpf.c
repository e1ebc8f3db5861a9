/* SPDX-License-Identifier: GPL-2.0-only */
/* All callbacks are sleepable, to be on the safe side. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SAFE 0

s32 BPF_STRUCT_OPS_SLEEPABLE(sleeper_init)
{
	return scx_bpf_create_dsq(SAFE, -1);
}

void BPF_STRUCT_OPS_SLEEPABLE(sleeper_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SAFE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS_SLEEPABLE(sleeper_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SAFE, 0);
}

SCX_OPS_DEFINE(sleeper_ops, .enqueue = (void *)sleeper_enqueue,
	       .dispatch = (void *)sleeper_dispatch, .init = (void *)sleeper_init,
	       .name = "sleeper");
