/* SPDX-License-Identifier: GPL-2.0-only */
/* Vtime order with the clock and the insertion in one critical section, so that the order is exact.
 */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct timeline {
	struct bpf_spin_lock lock;
	u64 last;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct timeline);
} timelines SEC(".maps");

#define EXACT 0

void BPF_STRUCT_OPS(exact_enqueue, struct task_struct *p, u64 enq_flags)
{
	u32 zero = 0;
	struct timeline *t = bpf_map_lookup_elem(&timelines, &zero);

	if (!t) {
		scx_bpf_dsq_insert_vtime(p, EXACT, SCX_SLICE_DFL, 0, enq_flags);
		return;
	}
	bpf_spin_lock(&t->lock);
	t->last++;
	scx_bpf_dsq_insert_vtime(p, EXACT, SCX_SLICE_DFL, t->last, enq_flags);
	bpf_spin_unlock(&t->lock);
}

void BPF_STRUCT_OPS(exact_dispatch, s32 cpu, struct task_struct *prev)
{
	scx_bpf_dsq_move_to_local(EXACT, 0);
}

s32 BPF_STRUCT_OPS_SLEEPABLE(exact_init)
{
	return scx_bpf_create_dsq(EXACT, -1);
}

SCX_OPS_DEFINE(exact_ops, .enqueue = (void *)exact_enqueue, .dispatch = (void *)exact_dispatch,
	       .init = (void *)exact_init, .name = "exact");
