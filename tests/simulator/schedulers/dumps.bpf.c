/* SPDX-License-Identifier: GPL-2.0-only */
/* Fails on purpose, and says then what there was. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

u32 seen;

void BPF_STRUCT_OPS(dumps_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
	if (++seen > 10)
		scx_bpf_error("on purpose");
}

void BPF_STRUCT_OPS(dumps_dump, struct scx_dump_ctx *dctx)
{
	scx_bpf_dump("after %u tasks\n", seen);
}

void BPF_STRUCT_OPS(dumps_dump_cpu, struct scx_dump_ctx *dctx, s32 cpu, bool idle)
{
	scx_bpf_dump("CPU %d idle %d\n", cpu, idle);
}

void BPF_STRUCT_OPS(dumps_dump_task, struct scx_dump_ctx *dctx, struct task_struct *p)
{
	scx_bpf_dump("task %s\n", p->comm);
}

void BPF_STRUCT_OPS(dumps_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(dumps_ops, .enqueue = (void *)dumps_enqueue, .dump = (void *)dumps_dump,
	       .dump_cpu = (void *)dumps_dump_cpu, .dump_task = (void *)dumps_dump_task,
	       .exit = (void *)dumps_exit, .name = "t_dumps");
