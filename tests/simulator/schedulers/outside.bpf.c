/* SPDX-License-Identifier: GPL-2.0-only */
/* Reaches for what is no kfunc: natively a function of libc would answer. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

int system(const char *command) __ksym __weak;

void BPF_STRUCT_OPS(outside_enqueue, struct task_struct *p, u64 enq_flags)
{
	if (bpf_ksym_exists(system))
		system("true");
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

SCX_OPS_DEFINE(outside_ops, .enqueue = (void *)outside_enqueue, .name = "t_outside");
