/* SPDX-License-Identifier: GPL-2.0-only */
/* Tasks wait in a hash by pid with the time of their deadline; dispatch takes the most urgent. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct waiter {
	s32 pid;
	u64 deadline;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, s32);
	__type(value, struct waiter);
} waiters SEC(".maps");

struct best {
	s32 pid;
	u64 deadline;
};

static long look(struct bpf_map *map, s32 *key, struct waiter *each, struct best *best)
{
	if (!best->pid || each->deadline < best->deadline) {
		best->pid = each->pid;
		best->deadline = each->deadline;
	}
	return 0;
}

void BPF_STRUCT_OPS(urgent_enqueue, struct task_struct *p, u64 enq_flags)
{
	s32 pid = p->pid;
	struct waiter new = {.pid = pid, .deadline = scx_bpf_now() + 1000000000ULL / p->scx.weight};

	bpf_map_update_elem(&waiters, &pid, &new, BPF_ANY);
}

void BPF_STRUCT_OPS(urgent_dispatch, s32 cpu, struct task_struct *prev)
{
	struct best best = {};
	struct task_struct *p;

	bpf_for_each_map_elem(&waiters, look, &best, 0);
	if (!best.pid)
		return;
	bpf_map_delete_elem(&waiters, &best.pid);
	p = bpf_task_from_pid(best.pid);
	if (p) {
		scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, 4000000, 0);
		bpf_task_release(p);
	}
}

SCX_OPS_DEFINE(urgent_ops, .enqueue = (void *)urgent_enqueue, .dispatch = (void *)urgent_dispatch,
	       .timeout_ms = 5000U, .name = "urgent");
