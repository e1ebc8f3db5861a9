/* SPDX-License-Identifier: GPL-2.0-only */
/* A waker's friend: a task that was woken by somebody in its own group gets a longer slice. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, s32);
	__type(value, s32);
} wakers SEC(".maps");

#define FRIENDS 0

s32 BPF_STRUCT_OPS(friend_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	struct task_struct *waker = bpf_get_current_task_btf();
	s32 pid = p->pid, by = waker->pid;

	bpf_map_update_elem(&wakers, &pid, &by, BPF_ANY);
	return prev_cpu;
}

void BPF_STRUCT_OPS(friend_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid, *by = bpf_map_lookup_elem(&wakers, &pid);
	struct task_struct *waker = by ? bpf_task_from_pid(*by) : NULL;
	u64 slice = SCX_SLICE_DFL;

	if (waker && waker->tgid == p->tgid)
		slice *= 2;
	scx_bpf_dsq_insert(p, FRIENDS, slice, enq_flags);
}

void BPF_STRUCT_OPS(friend_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(FRIENDS, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(friend_init)
{
	return scx_bpf_create_dsq(FRIENDS, -1);
}

SCX_OPS_DEFINE(friend_ops, .select_cpu = (void *)friend_select_cpu,
	       .enqueue = (void *)friend_enqueue, .dispatch = (void *)friend_dispatch,
	       .init = (void *)friend_init, .name = "friend");
