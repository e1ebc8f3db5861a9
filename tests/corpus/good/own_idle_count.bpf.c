/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts idle CPUs beside the kernel's own tracking, and kicks only where the count says it pays.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static s64 nr_idle;

#define Q 0

void BPF_STRUCT_OPS(idles_update_idle, s32 cpu, bool idle)
{
	__sync_fetch_and_add(&nr_idle, idle ? 1 : -1);
}

void BPF_STRUCT_OPS(idles_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, Q, SCX_SLICE_DFL, enq_flags);
	if (!nr_idle)
		return;
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(idles_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(Q, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(idles_init)
{
	return scx_bpf_create_dsq(Q, -1);
}

SCX_OPS_DEFINE(idles_ops, .update_idle = (void *)idles_update_idle,
	       .enqueue = (void *)idles_enqueue, .dispatch = (void *)idles_dispatch,
	       .init = (void *)idles_init, .flags = SCX_OPS_KEEP_BUILTIN_IDLE, .name = "g_idles");
