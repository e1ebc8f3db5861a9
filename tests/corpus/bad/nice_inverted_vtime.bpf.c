/* SPDX-License-Identifier: GPL-2.0-only */
/* Charges the more the larger the weight is. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

static u64 vtime_now;

void BPF_STRUCT_OPS(heavier_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 vtime = p->scx.dsq_vtime;

	if (time_before(vtime, vtime_now - SCX_SLICE_DFL))
		vtime = vtime_now - SCX_SLICE_DFL;
	scx_bpf_dsq_insert_vtime(p, SHARED, SCX_SLICE_DFL, vtime, enq_flags);
}

void BPF_STRUCT_OPS(heavier_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(heavier_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

void BPF_STRUCT_OPS(heavier_running, struct task_struct *p)
{
	if (time_before(vtime_now, p->scx.dsq_vtime))
		vtime_now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(heavier_stopping, struct task_struct *p, bool runnable)
{
	u64 used = SCX_SLICE_DFL - p->scx.slice;

	scx_bpf_task_set_dsq_vtime(p, p->scx.dsq_vtime + used * p->scx.weight / 100);
}

void BPF_STRUCT_OPS(heavier_enable, struct task_struct *p)
{
	scx_bpf_task_set_dsq_vtime(p, vtime_now);
}

SCX_OPS_DEFINE(heavier_ops, .enqueue = (void *)heavier_enqueue,
	       .dispatch = (void *)heavier_dispatch, .running = (void *)heavier_running,
	       .stopping = (void *)heavier_stopping, .enable = (void *)heavier_enable,
	       .init = (void *)heavier_init, .name = "heavier");
