/* SPDX-License-Identifier: GPL-2.0-only */
/* Counts in a table of 64 CPUs; those after it are not served. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define MAX_CPUS 64

static u64 served[MAX_CPUS];

void BPF_STRUCT_OPS(sixtyfour_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu = scx_bpf_task_cpu(p);

	scx_bpf_dsq_insert(p, cpu, 5000000, enq_flags);
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(sixtyfour_dispatch, s32 cpu, struct task_struct *prev)
{
	s32 i, nr = scx_bpf_nr_cpu_ids();

	if (cpu < 0 || cpu >= MAX_CPUS)
		return;
	served[cpu]++;
	if (scx_bpf_dsq_move_to_local(cpu, 0))
		return;
	bpf_for (i, 0, nr)
		if (scx_bpf_dsq_move_to_local(i, 0))
			return;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(sixtyfour_init)
{
	s32 i, error, nr = scx_bpf_nr_cpu_ids();

	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(sixtyfour_ops, .enqueue = (void *)sixtyfour_enqueue,
	       .dispatch = (void *)sixtyfour_dispatch, .init = (void *)sixtyfour_init,
	       .name = "sixtyfour");
