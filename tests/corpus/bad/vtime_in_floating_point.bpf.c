/* SPDX-License-Identifier: GPL-2.0-only */
/* Weighted vtime; weights as published, relative to 1024. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define TREE 0

static double vnow;

void BPF_STRUCT_OPS(real_enqueue, struct task_struct *p, u64 enq_flags)
{
	double v = vnow + 1e6 * 1024.0 / p->scx.weight;

	scx_bpf_dsq_insert_vtime(p, TREE, SCX_SLICE_DFL, (u64)v, enq_flags);
}

void BPF_STRUCT_OPS(real_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(TREE, 0);
}

void BPF_STRUCT_OPS(real_running, struct task_struct *p)
{
	if (p->scx.dsq_vtime > vnow)
		vnow = p->scx.dsq_vtime;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(real_init)
{
	return scx_bpf_create_dsq(TREE, -1);
}

SCX_OPS_DEFINE(real_ops, .enqueue = (void *)real_enqueue, .dispatch = (void *)real_dispatch,
	       .running = (void *)real_running, .init = (void *)real_init, .name = "real");
