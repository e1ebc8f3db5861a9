/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps how long a task ran last, and sorts by that. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct last {
	u64 ran_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct last);
} last SEC(".maps");

#define SORTED 0

void BPF_STRUCT_OPS(lastrun_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct last *l = bpf_task_storage_get(&last, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	scx_bpf_dsq_insert_vtime(p, SORTED, SCX_SLICE_DFL, scx_bpf_now() + l->ran_ns, enq_flags);
}

void BPF_STRUCT_OPS(lastrun_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(SORTED, 0);
}

void BPF_STRUCT_OPS(lastrun_stopping, struct task_struct *p, bool runnable)
{
	struct last *l = bpf_task_storage_get(&last, p, 0, 0);

	if (l)
		l->ran_ns = SCX_SLICE_DFL - p->scx.slice;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(lastrun_init)
{
	return scx_bpf_create_dsq(SORTED, -1);
}

SCX_OPS_DEFINE(lastrun_ops, .enqueue = (void *)lastrun_enqueue,
	       .dispatch = (void *)lastrun_dispatch, .stopping = (void *)lastrun_stopping,
	       .init = (void *)lastrun_init, .timeout_ms = 5000U, .name = "lastrun");
