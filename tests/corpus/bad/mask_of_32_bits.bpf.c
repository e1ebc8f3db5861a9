/* SPDX-License-Identifier: GPL-2.0-only */
/* Shifts an int to test the mask of CPUs, which has no room beyond 31. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static u32 cursor;

/* Each CPU has a queue; a task goes to the next that it may use. */
void BPF_STRUCT_OPS(thirtytwo_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 i, nr = scx_bpf_nr_cpu_ids(), from = __sync_fetch_and_add(&cursor, 1);

	bpf_for (i, 0, nr) {
		u32 cpu = (from + i) % nr;

		if (!(p->cpus_ptr->bits[cpu / 64] & (1U << cpu % 32)))
			continue;
		scx_bpf_dsq_insert(p, cpu, 5000000, enq_flags);
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
		return;
	}
	scx_bpf_dsq_insert(p, 0, 5000000, enq_flags);
}

void BPF_STRUCT_OPS(thirtytwo_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(cpu, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(thirtytwo_init)
{
	s32 i, error, nr = scx_bpf_nr_cpu_ids();

	bpf_for (i, 0, nr) {
		error = scx_bpf_create_dsq(i, -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(thirtytwo_ops, .enqueue = (void *)thirtytwo_enqueue,
	       .dispatch = (void *)thirtytwo_dispatch, .init = (void *)thirtytwo_init,
	       .name = "thirtytwo");
