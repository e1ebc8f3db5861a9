/* SPDX-License-Identifier: GPL-2.0-only */
/* Latency-critical tasks get the last CPU of the machine for themselves. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define NR_CPUS_HERE 16
#define QUIET_CPU    (NR_CPUS_HERE - 1)

static bool critical(const struct task_struct *p)
{
	return p->static_prio < 120;
}

void BPF_STRUCT_OPS(quiet_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (critical(p) && p->nr_cpus_allowed > 1) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | QUIET_CPU, SCX_SLICE_DFL, enq_flags);
		scx_bpf_kick_cpu(QUIET_CPU, SCX_KICK_IDLE);
		return;
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(quiet_ops, .enqueue = (void *)quiet_enqueue, .name = "quiet");
