/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * No CPU stays idle while a task that it may run waits.
 *
 * select_cpu() asks select_idle_cpu(). At the end of enqueue(), call wake_idle_cpu(): a CPU may
 * have become idle since select_cpu() looked, and select_cpu() was not called for a task whose
 * slice ended.
 */
#ifndef SCHEDPILOT_IDLE_BPF_H
#define SCHEDPILOT_IDLE_BPF_H

#include <schedpilot/llc.bpf.h>

/*
 * An idle CPU of the task's LLC, or -1; one of a whole idle core before a sibling of a busy CPU.
 * A task that may not use all of them is left to the search of the whole machine.
 */
static s32 idle_near(const struct task_struct *p)
{
	u32 llc = llc_of(scx_bpf_task_cpu(p));
	const struct cpumask *mask;
	struct llc_cpus *near;

	if (nr_llcs < 2)
		return -1;
	near = bpf_map_lookup_elem(&llc_cpus, &llc);
	if (!near)
		return -1;
	mask = cast_mask(near->mask);
	if (!mask || !bpf_cpumask_subset(mask, p->cpus_ptr))
		return -1;
	return scx_bpf_pick_idle_cpu(mask, 0);
}

/*
 * scx_bpf_select_cpu_dfl(), unless no CPU is idle. It writes the line of idle CPUs, which the whole
 * machine reads, at each wakeup, also if its last CPU is busy.
 */
static s32 select_idle_cpu(struct task_struct *p, s32 prev_cpu, u64 wake_flags, bool *is_idle)
{
	const struct cpumask *idle;
	bool none;

	*is_idle = false;
	if (nr_llcs > 1) {
		idle = scx_bpf_get_idle_cpumask();
		none = bpf_cpumask_empty(idle);
		scx_bpf_put_idle_cpumask(idle);
		if (none)
			return prev_cpu;
	}
	return scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, is_idle);
}

/* An idle CPU that the task may use, in its LLC if there is one; -1 if there is none. */
static s32 pick_idle(const struct task_struct *p)
{
	s32 cpu = idle_near(p);

	return cpu >= 0 ? cpu : scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
}

/* Wake such a CPU. False: there is none. */
static bool wake_idle_cpu(const struct task_struct *p)
{
	s32 cpu = pick_idle(p);

	if (cpu < 0)
		return false;
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
	return true;
}

#endif
