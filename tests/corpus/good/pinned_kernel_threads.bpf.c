/* SPDX-License-Identifier: GPL-2.0-only */
/* Kernel threads of one CPU start there when they wake; one that spins waits like everybody else.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define REST 3

static u64 slice_ns = 3000000;

void BPF_STRUCT_OPS(pinned_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 cpu;

	if ((p->flags & PF_KTHREAD) && p->nr_cpus_allowed == 1 && (enq_flags & SCX_ENQ_WAKEUP)) {
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns, enq_flags);
		return;
	}
	scx_bpf_dsq_insert(p, REST, slice_ns, enq_flags);
	cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0);
	if (cpu >= 0)
		scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);
}

void BPF_STRUCT_OPS(pinned_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(REST, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(pinned_init)
{
	return scx_bpf_create_dsq(REST, -1);
}

SCX_OPS_DEFINE(pinned_ops, .enqueue = (void *)pinned_enqueue, .dispatch = (void *)pinned_dispatch,
	       .init = (void *)pinned_init, .name = "g_pinned");
