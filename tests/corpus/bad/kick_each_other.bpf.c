/* SPDX-License-Identifier: GPL-2.0-only */
/* An idle CPU passes the baton on: somebody else may have seen work that it has not. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define POOL 9

static s32 next_of(s32 cpu)
{
	s32 next = cpu + 1;

	return next < (s32)scx_bpf_nr_cpu_ids() ? next : 0;
}

void BPF_STRUCT_OPS(baton_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, POOL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(baton_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(POOL, 0))
		return;
	scx_bpf_kick_cpu(next_of(cpu), SCX_KICK_PREEMPT);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(baton_init)
{
	return scx_bpf_create_dsq(POOL, -1);
}

SCX_OPS_DEFINE(baton_ops, .enqueue = (void *)baton_enqueue, .dispatch = (void *)baton_dispatch,
	       .init = (void *)baton_init, .timeout_ms = 5000U, .name = "baton");
