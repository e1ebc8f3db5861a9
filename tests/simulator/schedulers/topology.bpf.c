/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ends itself where cores and nodes are not as the scenario's: two CPUs a core, four a node. Puts
 * tasks on wholly idle cores alone, as long as there are any.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

#define EXPECT(what)                                                                               \
	do {                                                                                       \
		if (!(what))                                                                       \
			scx_bpf_error("not so: " #what);                                           \
	} while (0)

s32 BPF_STRUCT_OPS(topology_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	s32 node = scx_bpf_cpu_node(prev_cpu);
	const struct cpumask *cores = scx_bpf_get_idle_smtmask_node(node);
	const struct cpumask *cpus = scx_bpf_get_idle_cpumask_node(node);
	bool any = !bpf_cpumask_empty(cores);
	s32 cpu;

	EXPECT(bpf_cpumask_subset(cores, cpus));
	EXPECT(bpf_cpumask_weight(cores) % 2 == 0);
	scx_bpf_put_idle_cpumask(cores);
	scx_bpf_put_idle_cpumask(cpus);
	EXPECT(node == (s32)((u32)prev_cpu / 4));
	cpu = scx_bpf_pick_idle_cpu_node(p->cpus_ptr, node,
					 SCX_PICK_IDLE_CORE | SCX_PICK_IDLE_IN_NODE);
	EXPECT(any == (cpu >= 0));
	EXPECT(cpu < 0 || (s32)((u32)cpu / 4) == node);
	/* Its sibling is idle still, and the core no longer is. */
	if (cpu >= 0) {
		cpus = scx_bpf_get_idle_cpumask_node(node);
		cores = scx_bpf_get_idle_smtmask_node(node);
		EXPECT(bpf_cpumask_test_cpu(cpu ^ 1, cpus) && !bpf_cpumask_test_cpu(cpu, cpus));
		EXPECT(!bpf_cpumask_test_cpu(cpu ^ 1, cores));
		scx_bpf_put_idle_cpumask(cpus);
		scx_bpf_put_idle_cpumask(cores);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
		return cpu;
	}
	cpu = scx_bpf_pick_idle_cpu_node(p->cpus_ptr, node, 0);
	return cpu >= 0 ? cpu : prev_cpu;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(topology_init)
{
	EXPECT(scx_bpf_nr_node_ids() == 2);
	EXPECT(scx_bpf_create_dsq(1, 2) == -EINVAL);
	return scx_bpf_create_dsq(1, 1);
}

void BPF_STRUCT_OPS(topology_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(topology_ops, .select_cpu = (void *)topology_select_cpu,
	       .init = (void *)topology_init, .exit = (void *)topology_exit,
	       .flags = SCX_OPS_BUILTIN_IDLE_PER_NODE, .name = "t_topology");
