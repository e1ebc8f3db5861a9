/* SPDX-License-Identifier: GPL-2.0-only */
/* Throughput first: slices of 20 ms, and a direct start on idle CPUs. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BATCH 0

const volatile u64 slice_ns = 20000000;

s32 BPF_STRUCT_OPS(long_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, 0);
	return cpu;
}

void BPF_STRUCT_OPS(long_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, BATCH, slice_ns, enq_flags);
}

void BPF_STRUCT_OPS(long_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BATCH, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(long_init)
{
	return scx_bpf_create_dsq(BATCH, -1);
}

SCX_OPS_DEFINE(long_ops, .select_cpu = (void *)long_select_cpu, .enqueue = (void *)long_enqueue,
	       .dispatch = (void *)long_dispatch, .init = (void *)long_init, .name = "g_long");
