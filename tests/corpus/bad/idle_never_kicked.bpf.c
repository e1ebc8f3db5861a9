/* SPDX-License-Identifier: GPL-2.0-only */
/* Work is spread over per-CPU queues, each wakeup going to the shortest. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static s32 shortest(const struct task_struct *p)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;
	s32 best = -1, least = 1 << 30, queued;

	bpf_for (cpu, 0, nr) {
		if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			continue;
		queued = scx_bpf_dsq_nr_queued(cpu);
		if (queued < least) {
			least = queued;
			best = cpu;
		}
	}
	return best;
}

s32 BPF_STRUCT_OPS(spread_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return prev_cpu;
}

void BPF_STRUCT_OPS(spread_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu = shortest(p);

	if (cpu < 0)
		cpu = scx_bpf_task_cpu(p);
	scx_bpf_dsq_insert(p, cpu, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(spread_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(cpu, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(spread_init)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;
	s32 error = 0;

	bpf_for (cpu, 0, nr) {
		error = scx_bpf_create_dsq(cpu, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(spread_ops, .select_cpu = (void *)spread_select_cpu,
	       .enqueue = (void *)spread_enqueue, .dispatch = (void *)spread_dispatch,
	       .init = (void *)spread_init, .timeout_ms = 5000U, .name = "spread");
