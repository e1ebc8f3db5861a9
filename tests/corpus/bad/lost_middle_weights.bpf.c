/* SPDX-License-Identifier: GPL-2.0-only */
/* Three classes by weight, each with a queue and a slice of its own. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define HEAVY 1
#define LIGHT 2

void BPF_STRUCT_OPS(classes_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (p->scx.weight > 100)
		scx_bpf_dsq_insert(p, HEAVY, 8000000, enq_flags);
	else if (p->scx.weight < 100)
		scx_bpf_dsq_insert(p, LIGHT, 2000000, enq_flags);
}

void BPF_STRUCT_OPS(classes_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(HEAVY, 0))
		return;
	scx_bpf_dsq_move_to_local(LIGHT, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(classes_init)
{
	s32 error = scx_bpf_create_dsq(HEAVY, -1);

	return error ? error : scx_bpf_create_dsq(LIGHT, -1);
}

SCX_OPS_DEFINE(classes_ops, .enqueue = (void *)classes_enqueue,
	       .dispatch = (void *)classes_dispatch, .init = (void *)classes_init,
	       .timeout_ms = 5000U, .name = "classes");
