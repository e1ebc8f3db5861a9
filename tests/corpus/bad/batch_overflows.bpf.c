/* SPDX-License-Identifier: GPL-2.0-only */
/* Fills the CPU's queue from a backlog of pids, sixteen at a time. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, s32);
} backlog SEC(".maps");

void BPF_STRUCT_OPS(filler_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;

	if (bpf_map_push_elem(&backlog, &pid, 0))
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(filler_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 pid;

	bpf_repeat (16) {
		if (bpf_map_pop_elem(&backlog, &pid))
			break;
		p = bpf_task_from_pid(pid);
		if (!p)
			continue;
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
		bpf_task_release(p);
	}
}

SCX_OPS_DEFINE(filler_ops, .enqueue = (void *)filler_enqueue, .dispatch = (void *)filler_dispatch,
	       .dispatch_max_batch = 8, .timeout_ms = 5000U, .name = "filler");
