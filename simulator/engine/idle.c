// SPDX-License-Identifier: GPL-2.0-only
/* Which CPUs are idle, and the kernel's own choice of one (kernel/sched/ext_idle.c). No SMT. */
#include "kernel.h"

bool builtin_idle(void)
{
	struct sched_ext_ops *ops = sim.ops;

	return !ops || !ops->update_idle || ops->flags & SCX_OPS_KEEP_BUILTIN_IDLE;
}

bool claim_idle(s32 cpu)
{
	bool idle = sim.cpus[cpu].idle_bit;

	sim.cpus[cpu].idle_bit = false;
	return idle;
}

static bool same_llc(s32 a, s32 b)
{
	return a / sim.want.llc_cpus == b / sim.want.llc_cpus;
}

/* The next idle one after the last that this CPU found, as cpumask_any_and_distribute(). */
static s32 distribute(const struct cpumask *allowed, s32 llc_of)
{
	struct sim_cpu *here = sim.this_cpu;

	for (s32 i = 1; i <= sim.want.cpus; i++) {
		s32 cpu = (here->cursor + i) % sim.want.cpus;

		if (!sim.cpus[cpu].idle_bit || !mask_has(allowed, cpu) ||
		    (llc_of >= 0 && !same_llc(cpu, llc_of)))
			continue;
		here->cursor = cpu;
		sim.cpus[cpu].idle_bit = false;
		return cpu;
	}
	return -16; /* EBUSY */
}

s32 pick_idle(const struct cpumask *allowed, u64 flags)
{
	(void)flags;
	return distribute(allowed, -1);
}

/* scx_select_cpu_dfl() of the kernel: a CPU, claimed, or -EBUSY. */
s32 select_idle(struct task *t, s32 prev, u64 wake_flags, const struct cpumask *allowed)
{
	const struct cpumask *mask = allowed ? allowed : kernel_of(t)->cpus_ptr;
	s32 here = sim.this_cpu->id, found;
	bool any_idle = false;

	if (wake_flags & SCX_WAKE_SYNC && sim.this_cpu->curr) {
		if (same_llc(here, prev) && mask_has(mask, prev) && claim_idle(prev))
			return prev;
		for (s32 i = 0; i < sim.want.cpus && !any_idle; i++)
			any_idle = sim.cpus[i].idle_bit;
		if (any_idle && !sim.this_cpu->curr->exiting && !sim.this_cpu->local.nr &&
		    mask_has(mask, here))
			return here;
	}
	if (mask_has(mask, prev) && claim_idle(prev))
		return prev;
	if (sim.want.llc_cpus < sim.want.cpus) {
		found = distribute(mask, prev);
		if (found >= 0)
			return found;
	}
	return distribute(mask, -1);
}
