/* SPDX-License-Identifier: GPL-2.0-only */
/* Every task has a queue, so that it can be found again; the ids go round in a queue map. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 1 << 20);
	__type(value, u64);
} order SEC(".maps");

s32 BPF_STRUCT_OPS_SLEEPABLE(own_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	s32 error = scx_bpf_create_dsq(0x10000ULL + p->pid, -1);

	return error == -EEXIST ? 0 : error;
}

void BPF_STRUCT_OPS(own_enqueue, struct task_struct *p, u64 enq_flags)
{
	u64 id = 0x10000ULL + p->pid;

	if (bpf_map_push_elem(&order, &id, 0)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, id, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(own_dispatch, s32 cpu, struct task_struct *prev)
{
	u64 id;

	bpf_repeat (32) {
		if (bpf_map_pop_elem(&order, &id))
			return;
		if (scx_bpf_dsq_move_to_local(id, 0))
			return;
		if (scx_bpf_dsq_nr_queued(id) > 0)
			bpf_map_push_elem(&order, &id, 0);
	}
}

SCX_OPS_DEFINE(own_ops, .init_task = (void *)own_init_task, .enqueue = (void *)own_enqueue,
	       .dispatch = (void *)own_dispatch, .timeout_ms = 5000U, .name = "own");
