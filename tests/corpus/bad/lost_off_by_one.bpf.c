/* SPDX-License-Identifier: GPL-2.0-only */
/* Eight queues by pid, served in turn. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define NR_QUEUES 8

static u64 turn;

void BPF_STRUCT_OPS(wheel_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, (u32)p->pid % NR_QUEUES, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(wheel_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 start = __sync_fetch_and_add(&turn, 1);
	u32 i;

	bpf_for (i, 0, NR_QUEUES) {
		if (scx_bpf_dsq_move_to_local((start + i) % (NR_QUEUES - 1), 0))
			return;
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(wheel_init)
{
	s32 error, i;

	bpf_for (i, 0, NR_QUEUES) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(wheel_ops, .enqueue = (void *)wheel_enqueue, .dispatch = (void *)wheel_dispatch,
	       .init = (void *)wheel_init, .timeout_ms = 5000U, .name = "wheel");
