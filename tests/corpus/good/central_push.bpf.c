/* SPDX-License-Identifier: GPL-2.0-only */
/* Whoever looks for work also gives some to CPUs that are idle and may run it. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define CENTRAL 0

void BPF_STRUCT_OPS(push_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, CENTRAL, 4000000, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(push_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	u32 looked = 0;
	s32 to;

	scx_bpf_dsq_move_to_local(CENTRAL, 0);
	bpf_for_each (scx_dsq, p, CENTRAL, 0) {
		if (++looked > 4)
			break;
		if (is_migration_disabled(p))
			continue;
		to = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
		if (to < 0)
			continue;
		scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | to, 0);
		scx_bpf_kick_cpu(to, SCX_KICK_IDLE);
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(push_init)
{
	return scx_bpf_create_dsq(CENTRAL, -1);
}

SCX_OPS_DEFINE(push_ops, .enqueue = (void *)push_enqueue, .dispatch = (void *)push_dispatch,
	       .init = (void *)push_init, .name = "g_push");
