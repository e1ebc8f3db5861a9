/* SPDX-License-Identifier: GPL-2.0-only */
/* Passes the verifier, is attached, and is ejected before it is enabled. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

/* 0: an error while tasks are switched over. 1: init() fails. 2: init_task() fails. */
const volatile u32 how;

UEI_DEFINE(uei);

void BPF_STRUCT_OPS(eject_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(eject_enable, struct task_struct *p)
{
	if (how == 0)
		scx_bpf_error("no task is welcome");
}

s32 BPF_STRUCT_OPS(eject_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return how == 2 ? -ENOMEM : 0;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(eject_init)
{
	return how == 1 ? -ENOENT : 0;
}

void BPF_STRUCT_OPS(eject_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(eject_ops, .enqueue = (void *)eject_enqueue, .enable = (void *)eject_enable,
	       .init_task = (void *)eject_init_task, .init = (void *)eject_init,
	       .exit = (void *)eject_exit, .name = "t_eject");
