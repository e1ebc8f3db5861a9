/* SPDX-License-Identifier: GPL-2.0-only */
/* Batches two wakeups: a task waits until the next one comes, and both are queued together. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

static s32 held;

void BPF_STRUCT_OPS(pairs_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 earlier = __sync_lock_test_and_set(&held, p->pid);
	struct task_struct *other;

	if (!earlier)
		return;
	other = bpf_task_from_pid(earlier);
	if (other) {
		scx_bpf_dsq_insert(other, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
		bpf_task_release(other);
	}
}

void BPF_STRUCT_OPS(pairs_dispatch, s32 cpu, struct task_struct *prev)
{
	s32 pid = __sync_lock_test_and_set(&held, 0);
	struct task_struct *p = pid ? bpf_task_from_pid(pid) : NULL;

	if (!p)
		return;
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, 0);
	bpf_task_release(p);
}

SCX_OPS_DEFINE(pairs_ops, .enqueue = (void *)pairs_enqueue, .dispatch = (void *)pairs_dispatch,
	       .name = "pairs");
