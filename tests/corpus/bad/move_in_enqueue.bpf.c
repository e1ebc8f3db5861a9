/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO; a task that comes while its CPU is idle is fetched at once. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define ONLY 0

void BPF_STRUCT_OPS(fetch_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, ONLY, SCX_SLICE_DFL, enq_flags);
	if (scx_bpf_test_and_clear_cpu_idle(scx_bpf_task_cpu(p)))
		scx_bpf_dsq_move_to_local(ONLY, 0);
}

void BPF_STRUCT_OPS(fetch_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(ONLY, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(fetch_init)
{
	return scx_bpf_create_dsq(ONLY, -1);
}

SCX_OPS_DEFINE(fetch_ops, .enqueue = (void *)fetch_enqueue, .dispatch = (void *)fetch_dispatch,
	       .init = (void *)fetch_init, .name = "fetch");
