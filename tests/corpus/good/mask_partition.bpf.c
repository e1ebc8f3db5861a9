/* SPDX-License-Identifier: GPL-2.0-only */
/* Niced tasks prefer the upper half of the CPUs, all others the lower; both take any CPU before
 * they wait. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

private(MASKS) struct bpf_cpumask __kptr *upper;
private(MASKS) struct bpf_cpumask __kptr *lower;

static s32 fill(struct bpf_cpumask *mask, u32 from, u32 to)
{
	u32 cpu;

	bpf_for (cpu, from, to)
		bpf_cpumask_set_cpu(cpu, mask);
	return 0;
}

s32 BPF_STRUCT_OPS(halves_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct bpf_cpumask *half = p->static_prio > 120 ? upper : lower;
	s32 cpu = -1;

	if (half && bpf_cpumask_intersects(cast_mask(half), p->cpus_ptr))
		cpu = scx_bpf_select_cpu_and(p, prev_cpu, wake_flags, cast_mask(half), 0);
	if (cpu < 0)
		cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu < 0)
		return prev_cpu;
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(halves_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(halves_init)
{
	u32 nr = scx_bpf_nr_cpu_ids();
	struct bpf_cpumask *mask = bpf_cpumask_create();

	if (!mask)
		return -ENOMEM;
	fill(mask, nr / 2, nr);
	mask = bpf_kptr_xchg(&upper, mask);
	if (mask)
		bpf_cpumask_release(mask);
	mask = bpf_cpumask_create();
	if (!mask)
		return -ENOMEM;
	fill(mask, 0, nr / 2);
	mask = bpf_kptr_xchg(&lower, mask);
	if (mask)
		bpf_cpumask_release(mask);
	return 0;
}

SCX_OPS_DEFINE(halves_ops, .select_cpu = (void *)halves_select_cpu,
	       .enqueue = (void *)halves_enqueue, .init = (void *)halves_init, .name = "g_halves");
