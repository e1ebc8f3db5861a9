// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which CPUs are idle, and the kernel's own choice of one (kernel/sched/ext/idle.c). Nodes
 * are distinguished only for schedulers with SCX_OPS_BUILTIN_IDLE_PER_NODE.
 */
#include "kernel.h"
#include "lines.h"

#define EBUSY 16

/* The CPUs that share something with one, [first, first + count); all if count is 0. */
struct span {
	s32 first, count;
};

bool builtin_idle(void)
{
	struct sched_ext_ops *ops = sim.ops;

	return !ops || !ops->update_idle || ops->flags & SCX_OPS_KEEP_BUILTIN_IDLE;
}

bool idle_per_node(void)
{
	struct sched_ext_ops *ops = sim.ops;

	return ops && ops->flags & SCX_OPS_BUILTIN_IDLE_PER_NODE;
}

/* A mask of all CPUs, or of those of a node, in which a line has 512. */
static u64 line_of_mask(enum kernel_line kind, s32 cpu)
{
	return kernel_line(kind, idle_per_node() ? 1 + cpu / sim.want.node_cpus : 0);
}

/* scx_idle_test_and_clear_cpu() */
bool claim_idle(s32 cpu)
{
	s32 core = cpu - cpu % sim.want.core_cpus;
	bool idle = sim.cpus[cpu].idle_bit;

	if (COUNTS && sim.want.core_cpus > 1) {
		saw_load(line_of_mask(LINE_IDLE_CORES, cpu));
		if (sim.cpus[cpu].idle_core)
			saw_store(line_of_mask(LINE_IDLE_CORES, cpu));
	}
	if (COUNTS)
		saw_store(line_of_mask(LINE_IDLE_CPUS, cpu));

	sim.cpus[cpu].idle_bit = false;
	for (s32 i = core; i < core + sim.want.core_cpus; i++)
		sim.cpus[i].idle_core = false;
	return idle;
}

void note_idle(s32 cpu, bool idle)
{
	s32 core = cpu - cpu % sim.want.core_cpus;
	bool whole = true;

	if (COUNTS)
		saw_store(line_of_mask(LINE_IDLE_CPUS, cpu));
	sim.cpus[cpu].idle_bit = idle;
	for (s32 i = core; i < core + sim.want.core_cpus; i++)
		whole &= sim.cpus[i].idle_bit;
	if (idle && !whole)
		return;
	/* update_builtin_idle() changes the mask whether it is so already or not. */
	if (COUNTS && sim.want.core_cpus > 1)
		saw_store(line_of_mask(LINE_IDLE_CORES, cpu));
	for (s32 i = core; i < core + sim.want.core_cpus; i++)
		sim.cpus[i].idle_core = idle;
}

static struct span around(s32 cpu, s32 size)
{
	return size < sim.want.cpus ? (struct span){cpu - cpu % size, size} : (struct span){0, 0};
}

static bool in_span(struct span span, s32 cpu)
{
	return !span.count || (cpu >= span.first && cpu < span.first + span.count);
}

/* The next idle one after the last that this CPU found, like cpumask_any_and_distribute(). */
static s32 distribute(const struct cpumask *allowed, struct span span, bool whole_core)
{
	struct sim_cpu *here = sim.this_cpu;
	s32 cpu = here->cursor;

	if (COUNTS)
		saw_load(line_of_mask(whole_core ? LINE_IDLE_CORES : LINE_IDLE_CPUS,
				      span.count ? span.first : here->id));

	for (s32 i = 0; i < sim.want.cpus; i++) {
		if (++cpu >= sim.want.cpus)
			cpu = 0;
		if (!(whole_core ? sim.cpus[cpu].idle_core : sim.cpus[cpu].idle_bit) ||
		    !mask_has(allowed, cpu) || !in_span(span, cpu))
			continue;
		here->cursor = cpu;
		claim_idle(cpu);
		return cpu;
	}
	return -EBUSY;
}

static s32 find_in(const struct cpumask *allowed, struct span span, u64 flags)
{
	if (sim.want.core_cpus > 1) {
		s32 cpu = distribute(allowed, span, true);

		if (cpu >= 0 || flags & SCX_PICK_IDLE_CORE)
			return cpu;
	}
	return distribute(allowed, span, false);
}

/* In that node first, if the scheduler distinguishes them. */
s32 pick_idle(const struct cpumask *allowed, s32 node, u64 flags)
{
	if (idle_per_node() && node >= 0) {
		struct span span = {node * sim.want.node_cpus, sim.want.node_cpus};
		s32 cpu = find_in(allowed, span, flags);

		if (cpu >= 0 || flags & SCX_PICK_IDLE_IN_NODE)
			return cpu;
	}
	return find_in(allowed, (struct span){0, 0}, flags);
}

static bool any_idle(void)
{
	for (s32 i = 0; i < sim.want.cpus; i++)
		if (sim.cpus[i].idle_bit)
			return true;
	return false;
}

/* The kernel's scx_select_cpu_dfl(): a claimed CPU, or -EBUSY. */
s32 select_idle(struct task *t, s32 prev, u64 wake_flags, const struct cpumask *allowed, u64 flags)
{
	const struct cpumask *mask = allowed ? allowed : kernel_of(t)->cpus_ptr;
	struct span llc = around(prev, sim.want.llc_cpus), node = around(prev, sim.want.node_cpus);
	s32 here = sim.this_cpu->id, found, core = prev - prev % sim.want.core_cpus;
	bool prev_allowed = mask_has(mask, prev);

	if (wake_flags & SCX_WAKE_SYNC && sim.this_cpu->curr) {
		if (here / sim.want.llc_cpus == prev / sim.want.llc_cpus && prev_allowed &&
		    claim_idle(prev))
			return prev;
		if (!(kernel_of(sim.this_cpu->curr)->flags & PF_EXITING) &&
		    !sim.this_cpu->local.nr && mask_has(mask, here) && any_idle()) {
			claim_idle(here);
			return here;
		}
	}
	if (sim.want.core_cpus > 1) {
		u64 whole = flags | SCX_PICK_IDLE_CORE;

		if (prev_allowed && sim.cpus[prev].idle_core && claim_idle(prev))
			return prev;
		if (llc.count && (found = find_in(mask, llc, whole)) >= 0)
			return found;
		if (node.count && (found = find_in(mask, node, whole)) >= 0)
			return found;
		found = pick_idle(mask, prev / sim.want.node_cpus, whole);
		if (found >= 0 || flags & SCX_PICK_IDLE_CORE)
			return found;
	}
	if (prev_allowed && claim_idle(prev))
		return prev;
	for (s32 i = core; i < core + sim.want.core_cpus; i++)
		if (i != prev && mask_has(mask, i) && claim_idle(i))
			return i;
	if (llc.count && (found = find_in(mask, llc, 0)) >= 0)
		return found;
	if (node.count && (found = find_in(mask, node, 0)) >= 0)
		return found;
	return pick_idle(mask, prev / sim.want.node_cpus, flags);
}
