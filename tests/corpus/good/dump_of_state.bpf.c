/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells its state in the debug dump, and how it ended. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define FIFO 0

UEI_DEFINE(uei);

static u64 nr_queued, nr_dispatched;

void BPF_STRUCT_OPS(dumper_enqueue, struct task_struct *p, u64 enq_flags)
{
	__sync_fetch_and_add(&nr_queued, 1);
	scx_bpf_dsq_insert(p, FIFO, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(dumper_dispatch, s32 cpu, struct task_struct *prev)
{
	if (scx_bpf_dsq_move_to_local(FIFO, 0))
		__sync_fetch_and_add(&nr_dispatched, 1);
}

void BPF_STRUCT_OPS(dumper_dump, struct scx_dump_ctx *dump)
{
	scx_bpf_dump("queued %llu, dispatched %llu", nr_queued, nr_dispatched);
}

void BPF_STRUCT_OPS(dumper_dump_cpu, struct scx_dump_ctx *dump, s32 cpu, bool idle)
{
	if (!idle)
		scx_bpf_dump("cpu %d is busy", cpu);
}

void BPF_STRUCT_OPS(dumper_dump_task, struct scx_dump_ctx *dump, struct task_struct *p)
{
	scx_bpf_dump("%s[%d] slice %llu", p->comm, p->pid, p->scx.slice);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(dumper_init)
{
	return scx_bpf_create_dsq(FIFO, -1);
}

void BPF_STRUCT_OPS(dumper_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(dumper_ops, .enqueue = (void *)dumper_enqueue, .dispatch = (void *)dumper_dispatch,
	       .dump = (void *)dumper_dump, .dump_cpu = (void *)dumper_dump_cpu,
	       .dump_task = (void *)dumper_dump_task, .init = (void *)dumper_init,
	       .exit = (void *)dumper_exit, .exit_dump_len = 16384, .name = "g_dumper");
