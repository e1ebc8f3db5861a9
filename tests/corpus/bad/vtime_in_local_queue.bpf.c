/* SPDX-License-Identifier: GPL-2.0-only */
/* Weighted vtime, kept in the local queue of the CPU that was chosen. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u64 vnow;

void BPF_STRUCT_OPS(localv_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 v = p->scx.dsq_vtime;

	if (time_before(v, vnow - SCX_SLICE_DFL))
		v = vnow - SCX_SLICE_DFL;
	scx_bpf_dsq_insert_vtime(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, v, enq_flags);
}

void BPF_STRUCT_OPS(localv_running, struct task_struct *p)
{
	if (time_before(vnow, p->scx.dsq_vtime))
		vnow = p->scx.dsq_vtime;
}

void BPF_STRUCT_OPS(localv_stopping, struct task_struct *p, bool runnable)
{
	p->scx.dsq_vtime += (SCX_SLICE_DFL - p->scx.slice) * 100 / p->scx.weight;
}

SCX_OPS_DEFINE(localv_ops, .enqueue = (void *)localv_enqueue, .running = (void *)localv_running,
	       .stopping = (void *)localv_stopping, .name = "localv");
