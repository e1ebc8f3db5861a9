/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue for each cache, each made by the first CPU that has it; so far there is one cache. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define NR_LLCS 1

static u64 llc_of(s32 cpu)
{
	return cpu % NR_LLCS;
}

void BPF_STRUCT_OPS(caches_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, llc_of(scx_bpf_task_cpu(p)), SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(caches_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(llc_of(cpu), 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(caches_init)
{
	u32 nr = scx_bpf_nr_cpu_ids(), cpu;
	s32 error;

	bpf_for (cpu, 0, nr) {
		error = scx_bpf_create_dsq(llc_of(cpu), -1);
		if (error)
			return error;
	}
	return 0;
}

SCX_OPS_DEFINE(caches_ops, .enqueue = (void *)caches_enqueue, .dispatch = (void *)caches_dispatch,
	       .init = (void *)caches_init, .name = "caches");
