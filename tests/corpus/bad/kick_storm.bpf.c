/* SPDX-License-Identifier: GPL-2.0-only */
/* A wakeup makes every CPU look at the queue again, so that the order by deadline always holds. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DEADLINES 0

static u64 deadline_of(const struct task_struct *p)
{
	return scx_bpf_now() + 10000000ULL * 100 / p->scx.weight;
}

void BPF_STRUCT_OPS(edf_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;

	scx_bpf_dsq_insert_vtime(p, DEADLINES, SCX_SLICE_DFL, deadline_of(p), enq_flags);
	bpf_for (cpu, 0, nr)
		scx_bpf_kick_cpu(cpu, SCX_KICK_PREEMPT);
}

void BPF_STRUCT_OPS(edf_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(DEADLINES, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(edf_init)
{
	return scx_bpf_create_dsq(DEADLINES, -1);
}

SCX_OPS_DEFINE(edf_ops, .enqueue = (void *)edf_enqueue, .dispatch = (void *)edf_dispatch,
	       .init = (void *)edf_init, .timeout_ms = 5000U, .name = "edf");
