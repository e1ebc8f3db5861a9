/* SPDX-License-Identifier: GPL-2.0-only */
/* The last CPU hands out the work for all; the others only run what they are given. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define CENTRAL 0

static s32 leader;

s32 BPF_STRUCT_OPS(leader_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return prev_cpu;
}

void BPF_STRUCT_OPS(leader_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, CENTRAL, 3000000, enq_flags);
	scx_bpf_kick_cpu(leader, 0);
}

static s32 target_for(struct task_struct *p)
{
	s32 cpu = scx_bpf_pick_any_cpu(p->cpus_ptr, 0);

	return cpu >= 0 ? cpu : scx_bpf_task_cpu(p);
}

void BPF_STRUCT_OPS(leader_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 to;

	if (cpu != leader) {
		scx_bpf_kick_cpu(leader, 0);
		return;
	}
	bpf_for_each (scx_dsq, p, CENTRAL, 0) {
		to = target_for(p);
		if (scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | to, 0) && to != cpu)
			scx_bpf_kick_cpu(to, SCX_KICK_IDLE);
	}
}

void BPF_STRUCT_OPS(leader_cpu_online, s32 cpu)
{
}

void BPF_STRUCT_OPS(leader_cpu_offline, s32 cpu)
{
}

s32 BPF_STRUCT_OPS_SLEEPABLE(leader_init)
{
	leader = scx_bpf_nr_cpu_ids() - 1;
	return scx_bpf_create_dsq(CENTRAL, -1);
}

SCX_OPS_DEFINE(leader_ops, .select_cpu = (void *)leader_select_cpu,
	       .enqueue = (void *)leader_enqueue, .dispatch = (void *)leader_dispatch,
	       .cpu_online = (void *)leader_cpu_online, .cpu_offline = (void *)leader_cpu_offline,
	       .init = (void *)leader_init, .timeout_ms = 5000U, .name = "leader");
