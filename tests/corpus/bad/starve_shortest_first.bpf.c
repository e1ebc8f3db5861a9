/* SPDX-License-Identifier: GPL-2.0-only */
/* Shortest expected burst first; the expectation is an average of the bursts so far. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct burst {
	u64 average_ns;
	u64 sum_at_wakeup;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct burst);
} bursts SEC(".maps");

#define BY_BURST 1

s32 BPF_STRUCT_OPS(sjf_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&bursts, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

void BPF_STRUCT_OPS(sjf_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct burst *b = bpf_task_storage_get(&bursts, p, 0, 0);

	scx_bpf_dsq_insert_vtime(p, BY_BURST, SCX_SLICE_DFL, b ? b->average_ns : 0, enq_flags);
}

void BPF_STRUCT_OPS(sjf_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(BY_BURST, 0);
}

void BPF_STRUCT_OPS(sjf_stopping, struct task_struct *p, bool runnable)
{
	struct burst *b = bpf_task_storage_get(&bursts, p, 0, 0);
	u64 ran;

	if (!b)
		return;
	ran = p->se.sum_exec_runtime - b->sum_at_wakeup;
	if (runnable) {
		b->average_ns = ran > b->average_ns ? ran : b->average_ns;
		return;
	}
	b->average_ns = b->average_ns - b->average_ns / 4 + ran / 4;
	b->sum_at_wakeup = p->se.sum_exec_runtime;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(sjf_init)
{
	return scx_bpf_create_dsq(BY_BURST, -1);
}

SCX_OPS_DEFINE(sjf_ops, .enqueue = (void *)sjf_enqueue, .dispatch = (void *)sjf_dispatch,
	       .stopping = (void *)sjf_stopping, .init_task = (void *)sjf_init_task,
	       .init = (void *)sjf_init, .timeout_ms = 5000U, .name = "sjf");
