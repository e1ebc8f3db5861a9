/* SPDX-License-Identifier: GPL-2.0-only */
/* Says what addresses it has seen, which a scheduler may well decide by. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

u64 seen, mixed;

void BPF_STRUCT_OPS(pointers_enqueue, struct task_struct *p, u64 enq_flags)
{
	mixed = mixed * 31 + (u64)p;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	if (++seen == 100)
		scx_bpf_exit(0, "%llx %llx", mixed, (u64)&seen);
}

void BPF_STRUCT_OPS(pointers_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(pointers_ops, .enqueue = (void *)pointers_enqueue, .exit = (void *)pointers_exit,
	       .name = "t_pointers");
