/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * First come, first served for everybody but one kernel thread, which waits until nobody else does.
 * No line of the policy language can do that: its lower tiers always get a share.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0
#define LAST  1

const char starved[16] = "khugepaged";

s32 BPF_STRUCT_OPS(starves_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(starves_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 queue = bpf_strncmp(p->comm, sizeof(starved), starved) ? QUEUE : LAST;
	s32 cpu;

	scx_bpf_dsq_insert(p, queue, SCX_SLICE_DFL, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(starves_dispatch, s32 cpu, struct task_struct *prev)
{
	if (!scx_bpf_dsq_move_to_local(QUEUE, 0))
		scx_bpf_dsq_move_to_local(LAST, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(starves_init)
{
	return scx_bpf_create_dsq(QUEUE, -1) ?: scx_bpf_create_dsq(LAST, -1);
}

void BPF_STRUCT_OPS(starves_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(starves_ops,
	       .select_cpu	= (void *)starves_select_cpu,
	       .enqueue		= (void *)starves_enqueue,
	       .dispatch	= (void *)starves_dispatch,
	       .init		= (void *)starves_init,
	       .exit		= (void *)starves_exit,
	       .timeout_ms	= 30000U,
	       .name		= "starves_one");
/* clang-format on */
