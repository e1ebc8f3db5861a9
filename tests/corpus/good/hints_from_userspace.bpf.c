/* SPDX-License-Identifier: GPL-2.0-only */
/* Userspace may say how long the slice of a process shall be, within bounds. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

#define HINTED 0

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, s32);
	__type(value, u64);
} slices SEC(".maps");

volatile u64 default_ns = 5000000;
const volatile u64 shortest_ns = 500000;
const volatile u64 longest_ns = 20000000;

static u64 slice_of(const struct task_struct *p)
{
	s32 pid = p->tgid;
	u64 *hint = bpf_map_lookup_elem(&slices, &pid);
	u64 slice = hint ? *hint : default_ns;

	if (slice < shortest_ns)
		return shortest_ns;
	return slice < longest_ns ? slice : longest_ns;
}

void BPF_STRUCT_OPS(hinted_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, HINTED, slice_of(p), enq_flags);
}

void BPF_STRUCT_OPS(hinted_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(HINTED, 0);
}

void BPF_STRUCT_OPS(hinted_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	s32 pid = p->pid;

	bpf_map_delete_elem(&slices, &pid);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(hinted_init)
{
	return scx_bpf_create_dsq(HINTED, -1);
}

SCX_OPS_DEFINE(hinted_ops, .enqueue = (void *)hinted_enqueue, .dispatch = (void *)hinted_dispatch,
	       .exit_task = (void *)hinted_exit_task, .init = (void *)hinted_init,
	       .name = "g_hinted");
