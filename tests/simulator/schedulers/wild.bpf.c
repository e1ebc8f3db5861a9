/* SPDX-License-Identifier: GPL-2.0-only */
/* Follows a pointer that is not set. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(bad_running, struct task_struct *p)
{
	struct task_struct *nobody = (void *)p->last_wakee;

	if (nobody->pid)
		scx_bpf_error("somebody");
}

SCX_OPS_DEFINE(bad_ops, .running = (void *)bad_running, .name = "t_wild");
