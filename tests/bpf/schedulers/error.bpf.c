/* SPDX-License-Identifier: GPL-2.0-only */
/* Ends itself after so many tasks: as failed, or in an orderly way with a code. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

/* Tasks to enqueue before the end. */
const volatile u64 after = 50;
/* Not 0: scx_bpf_exit() with this code in place of scx_bpf_error(). */
const volatile u64 exit_code;

static u64 seen;
UEI_DEFINE(uei);

void BPF_STRUCT_OPS(error_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	if (__sync_fetch_and_add(&seen, 1) < after)
		return;
	if (exit_code)
		scx_bpf_exit(exit_code, "enough after %llu", seen);
	else
		scx_bpf_error("on purpose after %llu \"tasks\"", seen);
}

void BPF_STRUCT_OPS(error_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(error_ops, .enqueue = (void *)error_enqueue, .exit = (void *)error_exit,
	       .name = "t_error");
