/* SPDX-License-Identifier: GPL-2.0-only */
/* CPU 0 has the other switch whenever it looks for work, and goes on when that is done. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 1

/* Load. Do not wait. */
const volatile bool impatient;

void BPF_STRUCT_OPS(waits_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, QUEUE, 2000000, enq_flags);
	scx_bpf_kick_cpu(scx_bpf_task_cpu(p), SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(waits_dispatch, s32 cpu, struct task_struct *prev)
{
	if (cpu == 0)
		scx_bpf_kick_cpu(1,
				 impatient ? SCX_KICK_PREEMPT : SCX_KICK_PREEMPT | SCX_KICK_WAIT);
	scx_bpf_dsq_move_to_local(QUEUE);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(waits_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void BPF_STRUCT_OPS(waits_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(waits_ops, .enqueue = (void *)waits_enqueue, .dispatch = (void *)waits_dispatch,
	       .init = (void *)waits_init, .exit = (void *)waits_exit, .name = "t_waits");
