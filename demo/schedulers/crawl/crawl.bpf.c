/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * crawl: a bad idea on purpose, for the demo.
 *
 * One queue for everybody in order of arrival, slices of 40 ms, and no look for an idle CPU
 * when a task wakes. It is safe (every task is queued once and served in turn, and no CPU
 * stays idle while a task waits), but slow to answer: a waking task waits for every task
 * ahead of it. A trial should notice that at once and go back.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define QUEUE 0

/* Load. Slice of every task, ns. */
const volatile u64 slice_ns = 40000000;

s32 BPF_STRUCT_OPS(crawl_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return prev_cpu;
}

void BPF_STRUCT_OPS(crawl_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, QUEUE, slice_ns, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(crawl_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(QUEUE, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(crawl_init)
{
	return scx_bpf_create_dsq(QUEUE, -1);
}

void BPF_STRUCT_OPS(crawl_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

/* clang-format off */
SCX_OPS_DEFINE(crawl_ops,
	       .select_cpu	= (void *)crawl_select_cpu,
	       .enqueue		= (void *)crawl_enqueue,
	       .dispatch	= (void *)crawl_dispatch,
	       .init		= (void *)crawl_init,
	       .exit		= (void *)crawl_exit,
	       .timeout_ms	= 5000U,
	       .name		= "crawl");
/* clang-format on */
