/* SPDX-License-Identifier: GPL-2.0-only */
/* One queue; a task that is in it already is not put there a second time. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct place {
	bool queued;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct place);
} places SEC(".maps");

#define LINE 0

void BPF_STRUCT_OPS(once_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct place *place = bpf_task_storage_get(&places, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!place) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	if (place->queued)
		return;
	place->queued = true;
	scx_bpf_dsq_insert(p, LINE, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(once_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(LINE, 0);
}

void BPF_STRUCT_OPS(once_running, struct task_struct *p)
{
	struct place *place = bpf_task_storage_get(&places, p, 0, 0);

	if (place)
		place->queued = false;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(once_init)
{
	return scx_bpf_create_dsq(LINE, -1);
}

SCX_OPS_DEFINE(once_ops, .enqueue = (void *)once_enqueue, .dispatch = (void *)once_dispatch,
	       .running = (void *)once_running, .init = (void *)once_init, .timeout_ms = 5000U,
	       .name = "once");
