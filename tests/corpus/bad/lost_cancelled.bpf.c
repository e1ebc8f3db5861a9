/* SPDX-License-Identifier: GPL-2.0-only */
/* Hands out pids in batches; a verdict for a CPU that the task may not use is taken back. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16384);
	__type(value, s32);
} backlog SEC(".maps");

void BPF_STRUCT_OPS(batcher_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;

	if (bpf_map_push_elem(&backlog, &pid, 0))
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(batcher_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 pid;

	bpf_repeat (4) {
		if (!scx_bpf_dispatch_nr_slots() || bpf_map_pop_elem(&backlog, &pid))
			break;
		p = bpf_task_from_pid(pid);
		if (!p)
			continue;
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
		if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
			scx_bpf_dispatch_cancel();
		bpf_task_release(p);
	}
}

SCX_OPS_DEFINE(batcher_ops, .enqueue = (void *)batcher_enqueue,
	       .dispatch = (void *)batcher_dispatch, .dispatch_max_batch = 4, .timeout_ms = 5000U,
	       .name = "batcher");
