/* SPDX-License-Identifier: GPL-2.0-only */
/* A queue map of pids; a CPU pops one, and runs it here if the task may run here. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 65536);
	__type(value, s32);
} ready SEC(".maps");

void BPF_STRUCT_OPS(popper_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;

	if (bpf_map_push_elem(&ready, &pid, 0))
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(popper_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 pid;

	if (bpf_map_pop_elem(&ready, &pid))
		return;
	p = bpf_task_from_pid(pid);
	if (!p)
		return;
	if (bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	bpf_task_release(p);
}

SCX_OPS_DEFINE(popper_ops, .enqueue = (void *)popper_enqueue, .dispatch = (void *)popper_dispatch,
	       .timeout_ms = 5000U, .name = "popper");
