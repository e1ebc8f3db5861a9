/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue of its own, first come, first served; idle CPUs are told of new work. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define QUEUE 0

const volatile u64 slice_ns = 5000000;

void BPF_STRUCT_OPS(queue_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, QUEUE, slice_ns, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(queue_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(queue_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

SCX_OPS_DEFINE(queue_ops, .enqueue = (void *)queue_enqueue, .dispatch = (void *)queue_dispatch,
	       .init = (void *)queue_init, .name = "g_queue");
