/* SPDX-License-Identifier: GPL-2.0-only */
/* Earliest deadline first; a deadline is so far from now as the weight allows, so everybody's
 * comes. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define DEADLINES 1
#define PERIOD_NS 20000000ULL

void BPF_STRUCT_OPS(deadline_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 away = PERIOD_NS * 100 / p->scx.weight;
	s32 cpu;

	if (away > 200000000)
		away = 200000000;
	scx_bpf_dsq_insert_vtime(p, DEADLINES, 4000000, scx_bpf_now() + away, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(deadline_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(DEADLINES, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(deadline_init)
{
	return scx_bpf_create_dsq(DEADLINES, -1);
}

SCX_OPS_DEFINE(deadline_ops, .enqueue = (void *)deadline_enqueue,
	       .dispatch = (void *)deadline_dispatch, .init = (void *)deadline_init,
	       .name = "g_deadline");
