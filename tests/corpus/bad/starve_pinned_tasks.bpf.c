/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks that may run on one CPU only wait apart, so that nobody else has to step over them. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

enum queue { ROAMING, PINNED };

void BPF_STRUCT_OPS(apart_enqueue, struct task_struct *p, u64 enq_flags)
{
	enum queue to = p->nr_cpus_allowed == 1 ? PINNED : ROAMING;

	scx_bpf_dsq_insert(p, to, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(apart_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_nr_queued(ROAMING) > 0) {
		scx_bpf_dsq_move_to_local(ROAMING, 0);
		return;
	}
	scx_bpf_dsq_move_to_local(PINNED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(apart_init)
{
	s32 error = scx_bpf_create_dsq(ROAMING, -1);

	return error ?: scx_bpf_create_dsq(PINNED, -1);
}

SCX_OPS_DEFINE(apart_ops, .enqueue = (void *)apart_enqueue, .dispatch = (void *)apart_dispatch,
	       .init = (void *)apart_init, .timeout_ms = 5000U, .name = "apart");
