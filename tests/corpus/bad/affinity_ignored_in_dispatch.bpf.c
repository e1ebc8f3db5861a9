/* SPDX-License-Identifier: GPL-2.0-only */
/* A CPU that looks for work also feeds its idle neighbour from the shared queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define SHARED 0

void BPF_STRUCT_OPS(feeder_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SHARED, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(feeder_dispatch, s32 cpu, struct task_struct *prev)
{
	s32 neighbour = cpu ^ 1;
	struct task_struct *p;

	if (neighbour < (s32)scx_bpf_nr_cpu_ids()) {
		bpf_for_each (scx_dsq, p, SHARED, 0) {
			if (scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | neighbour, 0))
				scx_bpf_kick_cpu(neighbour, SCX_KICK_IDLE);
			break;
		}
	}
	scx_bpf_dsq_move_to_local(SHARED, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(feeder_init)
{
	return scx_bpf_create_dsq(SHARED, -1);
}

SCX_OPS_DEFINE(feeder_ops, .enqueue = (void *)feeder_enqueue, .dispatch = (void *)feeder_dispatch,
	       .init = (void *)feeder_init, .name = "feeder");
