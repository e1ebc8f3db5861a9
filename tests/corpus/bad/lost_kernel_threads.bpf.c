/* SPDX-License-Identifier: GPL-2.0-only */
/* Weighted fair queueing for user tasks; the kernel takes care of its own threads. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FAIR 0

static u64 clock;

void BPF_STRUCT_OPS(users_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 vtime = p->scx.dsq_vtime;

	if (p->flags & PF_KTHREAD)
		return;
	if (time_before(vtime, clock - SCX_SLICE_DFL))
		vtime = clock - SCX_SLICE_DFL;
	scx_bpf_dsq_insert_vtime(p, FAIR, SCX_SLICE_DFL, vtime, enq_flags);
}

void BPF_STRUCT_OPS(users_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FAIR, 0);
}

void BPF_STRUCT_OPS(users_running, struct task_struct *p)
{
	if (time_before(clock, p->scx.dsq_vtime))
		clock = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(users_stopping, struct task_struct *p, bool runnable)
{
	p->scx.dsq_vtime += (SCX_SLICE_DFL - p->scx.slice) * 100 / p->scx.weight;
}

void BPF_STRUCT_OPS(users_enable, struct task_struct *p)
{
	p->scx.dsq_vtime = clock;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(users_init)
{
	return scx_bpf_create_dsq(FAIR, -1);
}

SCX_OPS_DEFINE(users_ops, .enqueue = (void *)users_enqueue, .dispatch = (void *)users_dispatch,
	       .running = (void *)users_running, .stopping = (void *)users_stopping,
	       .enable = (void *)users_enable, .init = (void *)users_init, .timeout_ms = 5000U,
	       .name = "users");
