/* SPDX-License-Identifier: GPL-2.0-only */
/* Global FIFO; who waited for more than 10 ms is told to userspace, if anybody reads. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct wait {
	s32 pid;
	u64 ns;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, u64);
} queued_at SEC(".maps");

void BPF_STRUCT_OPS(logged_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 *at = bpf_task_storage_get(&queued_at, p, 0, 0);

	if (at)
		*at = scx_bpf_now();
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(logged_running, struct task_struct *p)
{
	u64 *at = bpf_task_storage_get(&queued_at, p, 0, 0), waited;
	struct wait *event;

	if (!at || !*at)
		return;
	waited = scx_bpf_now() - *at;
	*at = 0;
	if (waited < 10000000)
		return;
	event = bpf_ringbuf_reserve(&waits, sizeof(*event), 0);
	if (!event)
		return;
	event->pid = p->pid;
	event->ns = waited;
	__builtin_memcpy(event->comm, p->comm, sizeof(event->comm));
	bpf_ringbuf_submit(event, 0);
}

s32 BPF_STRUCT_OPS(logged_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	return bpf_task_storage_get(&queued_at, p, 0, BPF_LOCAL_STORAGE_GET_F_CREATE) ? 0 : -ENOMEM;
}

SCX_OPS_DEFINE(logged_ops, .enqueue = (void *)logged_enqueue, .running = (void *)logged_running,
	       .init_task = (void *)logged_init_task, .name = "g_logged");
