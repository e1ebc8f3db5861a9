/* SPDX-License-Identifier: GPL-2.0-only */
/* Looks for an idle CPU when a task is handed out, since by then more is known. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define BACKLOG 0

void BPF_STRUCT_OPS(late_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, BACKLOG, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(late_dispatch, s32 cpu, struct task_struct *prev)
{
	struct task_struct *p;
	bool idle;
	s32 to;

	bpf_for_each (scx_dsq, p, BACKLOG, 0) {
		idle = false;
		to = scx_bpf_select_cpu_dfl(p, cpu, 0, &idle);
		if (idle && scx_bpf_dsq_move(BPF_FOR_EACH_ITER, p, SCX_DSQ_LOCAL_ON | to, 0))
			scx_bpf_kick_cpu(to, SCX_KICK_IDLE);
		break;
	}
	scx_bpf_dsq_move_to_local(BACKLOG, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(late_init)
{
	return scx_bpf_create_dsq(BACKLOG, -1);
}

SCX_OPS_DEFINE(late_ops, .enqueue = (void *)late_enqueue, .dispatch = (void *)late_dispatch,
	       .init = (void *)late_init, .name = "late");
