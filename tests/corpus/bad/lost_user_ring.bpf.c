/* SPDX-License-Identifier: GPL-2.0-only */
/* The policy lives in a process of its own: tasks go out through a ring buffer, orders come back in
 * a queue. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct order {
	s32 pid;
	u64 slice_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} queued SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 8192);
	__type(value, struct order);
} orders SEC(".maps");

void BPF_STRUCT_OPS(remote_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct order *event = bpf_ringbuf_reserve(&queued, sizeof(*event), 0);

	if (!event) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	event->pid = p->pid;
	event->slice_ns = p->scx.slice;
	bpf_ringbuf_submit(event, 0);
}

void BPF_STRUCT_OPS(remote_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	struct order order;

	if (bpf_map_pop_elem(&orders, &order))
		return;
	p = bpf_task_from_pid(order.pid);
	if (!p)
		return;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, order.slice_ns, 0);
	bpf_task_release(p);
}

SCX_OPS_DEFINE(remote_ops, .enqueue = (void *)remote_enqueue, .dispatch = (void *)remote_dispatch,
	       .timeout_ms = 5000U, .name = "remote");
