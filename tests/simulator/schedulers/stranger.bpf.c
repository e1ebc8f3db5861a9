/* SPDX-License-Identifier: GPL-2.0-only */
/* Is asked about one task and inserts another. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

UEI_DEFINE(uei);

static u64 first_pid;

void BPF_STRUCT_OPS(bad_enqueue, struct task_struct *p, u64 enq_flags)
{
	struct task_struct *other;

	if (!first_pid)
		first_pid = p->pid;
	other = first_pid == p->pid ? NULL : bpf_task_from_pid(first_pid);
	if (other) {
		scx_bpf_dsq_insert(other, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
		bpf_task_release(other);
		return;
	}
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(bad_exit, struct scx_exit_info *ei)
{
	UEI_RECORD(uei, ei);
}

SCX_OPS_DEFINE(bad_ops, .enqueue = (void *)bad_enqueue, .exit = (void *)bad_exit,
	       .name = "t_stranger");
