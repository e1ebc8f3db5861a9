/* SPDX-License-Identifier: GPL-2.0-only */
/* Wants tasks that exit as well and runs them at once; all others wait by their pids. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define PF_EXITING 0x00000004

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 16384);
	__type(value, s32);
} waiting SEC(".maps");

void BPF_STRUCT_OPS(g_leaving_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid, cpu;

	if (p->flags & PF_EXITING || bpf_map_push_elem(&waiting, &pid, 0)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
		return;
	}
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(g_leaving_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	s32 pid;

	bpf_repeat (8) {
		if (!scx_bpf_dispatch_nr_slots() || bpf_map_pop_elem(&waiting, &pid))
			break;
		p = bpf_task_from_pid(pid);
		if (!p)
			continue;
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
		bpf_task_release(p);
	}
}

SCX_OPS_DEFINE(g_leaving_ops, .enqueue = (void *)g_leaving_enqueue,
	       .dispatch = (void *)g_leaving_dispatch, .flags = SCX_OPS_ENQ_EXITING,
	       .name = "g_leaving");
