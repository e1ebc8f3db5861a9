/* SPDX-License-Identifier: GPL-2.0-only */
/* Dispatch looks at the queue only while the count of waiting tasks says that it pays. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define QUEUE 3

static s64 nr_waiting;

s32 BPF_STRUCT_OPS(counted_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(counted_enqueue, struct task_struct *p, u64 enq_flags)
{
	__sync_fetch_and_add(&nr_waiting, 1);
	scx_bpf_dsq_insert(p, QUEUE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(counted_dispatch, s32 cpu, struct task_struct *prev)
{
	if (nr_waiting <= 0)
		return;
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

void BPF_STRUCT_OPS(counted_running, struct task_struct *p)
{
	__sync_fetch_and_sub(&nr_waiting, 1);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(counted_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SCX_OPS_DEFINE(counted_ops, .select_cpu = (void *)counted_select_cpu,
	       .enqueue = (void *)counted_enqueue, .dispatch = (void *)counted_dispatch,
	       .running = (void *)counted_running, .init = (void *)counted_init,
	       .timeout_ms = 5000U, .name = "counted");
