/* SPDX-License-Identifier: GPL-2.0-only */
/* Wants a machine with at least 64 CPUs, and leaves politely on a smaller one. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(bigiron_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 20000000, enq_flags);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(bigiron_init)
{
	if (scx_bpf_nr_cpu_ids() < 64) {
		scx_bpf_error("%u CPUs are too few", scx_bpf_nr_cpu_ids());
		return -EINVAL;
	}
	return 0;
}

SCX_OPS_DEFINE(bigiron_ops, .enqueue = (void *)bigiron_enqueue, .init = (void *)bigiron_init,
	       .name = "bigiron");
