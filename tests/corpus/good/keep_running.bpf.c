/* SPDX-License-Identifier: GPL-2.0-only */
/* A task goes on without a switch while nobody waits for its CPU. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define Q	 0
#define SLICE_NS 3000000

void BPF_STRUCT_OPS(onwards_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, Q, SLICE_NS, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(onwards_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(Q, 0))
		return;
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED))
		scx_bpf_task_set_slice(prev, SLICE_NS);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(onwards_init)
{
	return scx_bpf_create_dsq(Q, -1);
}

SCX_OPS_DEFINE(onwards_ops, .enqueue = (void *)onwards_enqueue,
	       .dispatch = (void *)onwards_dispatch, .init = (void *)onwards_init,
	       .name = "g_onwards");
