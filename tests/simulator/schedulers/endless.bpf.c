/* SPDX-License-Identifier: GPL-2.0-only */
/* Does not come back from a callback. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

volatile u64 forever = 1;

void BPF_STRUCT_OPS(bad_running, struct task_struct *p)
{
	while (forever)
		;
}

SCX_OPS_DEFINE(bad_ops, .running = (void *)bad_running, .name = "t_endless");
