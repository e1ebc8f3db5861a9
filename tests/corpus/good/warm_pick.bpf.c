/* SPDX-License-Identifier: GPL-2.0-only */
/* Out of the first few that wait, takes one that last ran here; every fourth turn the first of all.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define LINE	  0
#define LOOKED_AT 8

static u64 turns;

void BPF_STRUCT_OPS(warm_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, LINE, 4000000, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

static bool take_warm(s32 cpu)
{
	struct task_struct *p;
	u32 looked = 0;

	bpf_for_each (scx_dsq, p, LINE, 0) {
		if (scx_bpf_task_cpu(p) == cpu)
			return scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL, 0);
		if (++looked == LOOKED_AT)
			break;
	}
	return false;
}

void BPF_STRUCT_OPS(warm_dispatch, s32 cpu, struct task_struct *prev)
{
	if (__sync_fetch_and_add(&turns, 1) % 4 && take_warm(cpu))
		return;
	scx_bpf_dsq_move_to_local(LINE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(warm_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(warm_ops, .enqueue = (void *)warm_enqueue, .dispatch = (void *)warm_dispatch,
	       .init = (void *)warm_init, .name = "g_warm");
