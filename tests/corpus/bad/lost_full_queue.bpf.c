/* SPDX-License-Identifier: GPL-2.0-only */
/* First come, first served, in a queue of our own: pids wait in a BPF queue map. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 32);
	__type(value, s32);
} waiting SEC(".maps");

s32 BPF_STRUCT_OPS(pidq_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool idle = false;
	s32 cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &idle);

	if (idle)
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, SCX_SLICE_DFL, 0);
	return cpu;
}

void BPF_STRUCT_OPS(pidq_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;

	bpf_map_push_elem(&waiting, &pid, 0);
}

void BPF_STRUCT_OPS(pidq_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 pid;

	if (bpf_map_pop_elem(&waiting, &pid))
		return;
	p = bpf_task_from_pid(pid);
	if (!p)
		return;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
	bpf_task_release(p);
}

SCX_OPS_DEFINE(pidq_ops, .select_cpu = (void *)pidq_select_cpu, .enqueue = (void *)pidq_enqueue,
	       .dispatch = (void *)pidq_dispatch, .timeout_ms = 5000U, .name = "pidq");
