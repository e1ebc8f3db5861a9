/* SPDX-License-Identifier: GPL-2.0-only */
/* Hands each task to the CPU with the shortest local queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static s32 least_loaded(void)
{
	s32 nr = scx_bpf_nr_cpu_ids(), cpu, best = 0, least = 1 << 30, queued;

	bpf_for (cpu, 0, nr) {
		queued = scx_bpf_dsq_nr_queued(SCX_DSQ_LOCAL_ON | cpu);
		if (queued >= 0 && queued < least) {
			least = queued;
			best = cpu;
		}
	}
	return best;
}

void BPF_STRUCT_OPS(balance_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu = least_loaded();

	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, SCX_SLICE_DFL, enq_flags);
	scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

SCX_OPS_DEFINE(balance_ops, .enqueue = (void *)balance_enqueue, .name = "balance");
