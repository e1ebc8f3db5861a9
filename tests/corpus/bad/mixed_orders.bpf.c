/* SPDX-License-Identifier: GPL-2.0-only */
/* Everybody by vtime; kernel threads in order of arrival, since they have no vtime worth the name.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAIN 0

static u64 global_vtime;

void BPF_STRUCT_OPS(mixed_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 vtime = p->scx.dsq_vtime;

	if (p->flags & PF_KTHREAD) {
		scx_bpf_dsq_insert(p, MAIN, SCX_SLICE_DFL, enq_flags | SCX_ENQ_HEAD);
		return;
	}
	if (time_before(vtime, global_vtime - SCX_SLICE_DFL))
		vtime = global_vtime - SCX_SLICE_DFL;
	scx_bpf_dsq_insert_vtime(p, MAIN, SCX_SLICE_DFL, vtime, enq_flags);
}

void BPF_STRUCT_OPS(mixed_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(MAIN, 0);
}

void BPF_STRUCT_OPS(mixed_stopping, struct task_struct *p, bool runnable)
{
	p->scx.dsq_vtime += (SCX_SLICE_DFL - p->scx.slice) * 100 / p->scx.weight;
	if (time_before(global_vtime, p->scx.dsq_vtime))
		global_vtime = p->scx.dsq_vtime;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(mixed_init)
{
	return scx_bpf_create_dsq(MAIN, -1);
}

SCX_OPS_DEFINE(mixed_ops, .enqueue = (void *)mixed_enqueue, .dispatch = (void *)mixed_dispatch,
	       .stopping = (void *)mixed_stopping, .init = (void *)mixed_init, .name = "mixed");
