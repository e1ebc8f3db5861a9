/* SPDX-License-Identifier: GPL-2.0-only */
/* Chooses a CPU that does not exist. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

s32 BPF_STRUCT_OPS(bad_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return 9999;
}

SCX_OPS_DEFINE(bad_ops, .select_cpu = (void *)bad_select_cpu, .name = "t_wrong_cpu");
