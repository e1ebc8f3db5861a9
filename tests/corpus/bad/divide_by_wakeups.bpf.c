/* SPDX-License-Identifier: GPL-2.0-only */
/* Deadline from the average run per wakeup, as far as it is known. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct seen {
	u64 ran_ns, wakeups, from;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct seen);
} seen SEC(".maps");

#define DSQ 100

void BPF_STRUCT_OPS(avgrun_runnable, struct task_struct *p, u64 enq_flags)
{
	struct seen *s = bpf_task_storage_get(&seen, p, 0, 0);

	if (s && (enq_flags & SCX_ENQ_WAKEUP))
		s->wakeups++;
}

void BPF_STRUCT_OPS(avgrun_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct seen *s = bpf_task_storage_get(&seen, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	u64 deadline = scx_bpf_now();

	if (s)
		deadline += s->ran_ns / s->wakeups;
	scx_bpf_dsq_insert_vtime(p, DSQ, SCX_SLICE_DFL, deadline, enq_flags);
}

void BPF_STRUCT_OPS(avgrun_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(DSQ, 0);
}

void BPF_STRUCT_OPS(avgrun_running, struct task_struct *p)
{
	struct seen *s = bpf_task_storage_get(&seen, p, 0, 0);

	if (s)
		s->from = scx_bpf_now();
}

void BPF_STRUCT_OPS(avgrun_stopping, struct task_struct *p, bool runnable)
{
	struct seen *s = bpf_task_storage_get(&seen, p, 0, 0);

	if (s && s->from)
		s->ran_ns += scx_bpf_now() - s->from;
}

s32 BPF_STRUCT_OPS_SLEEPABLE(avgrun_init)
{
	return scx_bpf_create_dsq(DSQ, -1);
}

SCX_OPS_DEFINE(avgrun_ops, .runnable = (void *)avgrun_runnable, .enqueue = (void *)avgrun_enqueue,
	       .dispatch = (void *)avgrun_dispatch, .running = (void *)avgrun_running,
	       .stopping = (void *)avgrun_stopping, .init = (void *)avgrun_init, .name = "avgrun");
