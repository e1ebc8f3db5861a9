/* SPDX-License-Identifier: GPL-2.0-only */
/* Polls for work, since wakeups of idle CPUs are slow. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define WORK 1

void BPF_STRUCT_OPS(poller_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, WORK, 2000000, enq_flags);
}

void BPF_STRUCT_OPS(poller_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(WORK, 0) && !prev)
		scx_bpf_kick_cpu(cpu, 0);
}

void BPF_STRUCT_OPS(poller_update_idle, s32 cpu, bool idle)
{
	if (idle)
		scx_bpf_kick_cpu(cpu, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(poller_init)
{
	return scx_bpf_create_dsq(WORK, -1);
}

SCX_OPS_DEFINE(poller_ops, .enqueue = (void *)poller_enqueue, .dispatch = (void *)poller_dispatch,
	       .update_idle = (void *)poller_update_idle, .init = (void *)poller_init,
	       .flags = SCX_OPS_KEEP_BUILTIN_IDLE, .timeout_ms = 5000U, .name = "poller");
