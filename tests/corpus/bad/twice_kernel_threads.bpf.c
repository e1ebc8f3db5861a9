/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel threads of one CPU go straight to it; all others by vtime. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TIMELINE 1

static u64 v_now;

void BPF_STRUCT_OPS(kfirst_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 v = p->scx.dsq_vtime;

	if (time_before(v, v_now - SCX_SLICE_DFL))
		v = v_now - SCX_SLICE_DFL;
	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);

	scx_bpf_dsq_insert_vtime(p, TIMELINE, SCX_SLICE_DFL, v, enq_flags);
}

void BPF_STRUCT_OPS(kfirst_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TIMELINE, 0);
}

void BPF_STRUCT_OPS(kfirst_running, struct task_struct *p)
{
	if (time_before(v_now, p->scx.dsq_vtime))
		v_now = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(kfirst_stopping, struct task_struct *p, bool runnable)
{
	p->scx.dsq_vtime += (SCX_SLICE_DFL - p->scx.slice) * 100 / p->scx.weight;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(kfirst_init)
{
	return scx_bpf_create_dsq(TIMELINE, -1);
}

SCX_OPS_DEFINE(kfirst_ops, .enqueue = (void *)kfirst_enqueue, .dispatch = (void *)kfirst_dispatch,
	       .running = (void *)kfirst_running, .stopping = (void *)kfirst_stopping,
	       .init = (void *)kfirst_init, .name = "kfirst");
