/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue for each NUMA node; a CPU serves its own node's and then the others'. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAX_NODES 64

static u64 turns;

static u64 node_of(s32 cpu)
{
	int node = __COMPAT_scx_bpf_cpu_node(cpu);

	return node >= 0 && node < MAX_NODES ? node : 0;
}

void BPF_STRUCT_OPS(nodes_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	scx_bpf_dsq_insert(p, node_of(scx_bpf_task_cpu(p)), SCX_SLICE_DFL, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(nodes_dispatch, s32 cpu, struct task_struct *prev)
{
	u32 nr = __COMPAT_scx_bpf_nr_node_ids(), i;
	u64 turn = __sync_fetch_and_add(&turns, 1);
	u64 first = turn % 8 ? node_of(cpu) : turn / 8;

	if (nr > MAX_NODES)
		nr = MAX_NODES;
	bpf_for (i, 0, nr) {
		if (scx_bpf_dsq_move_to_local((first + i) % nr, 0))
			break;
	}
}

s32 BPF_STRUCT_OPS_SLEEPABLE(nodes_init)
{
	u32 nr = __COMPAT_scx_bpf_nr_node_ids(), i;
	s32 error = 0;

	if (nr > MAX_NODES)
		nr = MAX_NODES;
	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			break;
	}
	return error;
}

SCX_OPS_DEFINE(nodes_ops, .enqueue = (void *)nodes_enqueue, .dispatch = (void *)nodes_dispatch,
	       .init = (void *)nodes_init, .name = "g_nodes");
