/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue; who runs and still wants to goes on. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q     0
#define SLICE (5 * 1000 * 1000ULL)

void BPF_STRUCT_OPS(keeper_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, Q, SLICE, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(keeper_dispatch, s32 cpu, struct task_struct *prev)
{
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED)) {
		prev->scx.slice = SLICE;
		return;
	}
	scx_bpf_dsq_move_to_local(Q, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(keeper_init)
{
	return scx_bpf_create_dsq(Q, -1);
}

SCX_OPS_DEFINE(keeper_ops, .enqueue = (void *)keeper_enqueue, .dispatch = (void *)keeper_dispatch,
	       .init = (void *)keeper_init, .name = "keeper");
