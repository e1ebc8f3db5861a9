/* SPDX-License-Identifier: GPL-2.0-only */
/* Chooses a CPU that does not exist. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

s32 BPF_STRUCT_OPS(bad_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	return 9999;
}

void BPF_STRUCT_OPS(bad_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(bad_ops, .select_cpu = (void *)bad_select_cpu, .exit = (void *)bad_exit,
	       .name = "t_wrong_cpu");
