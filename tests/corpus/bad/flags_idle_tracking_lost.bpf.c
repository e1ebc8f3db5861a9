/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts idle CPUs itself and picks one for each task that comes. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static s64 nr_idle;

#define WAITING 0

void BPF_STRUCT_OPS(idler_update_idle, s32 cpu, bool idle)
{
	__sync_fetch_and_add(&nr_idle, idle ? 1 : -1);
}

void BPF_STRUCT_OPS(idler_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, WAITING, SCX_SLICE_DFL, enq_flags);
	if (nr_idle <= 0)
		return;
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(idler_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(WAITING, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(idler_init)
{
	return scx_bpf_create_dsq(WAITING, -1);
}

SCX_OPS_DEFINE(idler_ops, .update_idle = (void *)idler_update_idle,
	       .enqueue = (void *)idler_enqueue, .dispatch = (void *)idler_dispatch,
	       .init = (void *)idler_init, .name = "idler");
