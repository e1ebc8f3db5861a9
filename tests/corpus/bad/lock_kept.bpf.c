/* SPDX-License-Identifier: GPL-2.0-only */
/* A shared clock behind a lock. */
#include <scx/common.bpf.h>

char _license[] SEC("license") = "GPL";

struct shared {
	struct bpf_spin_lock lock;
	u64 clock, longest;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct shared);
} shared SEC(".maps");

void BPF_STRUCT_OPS(locked_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, SCX_SLICE_DFL, enq_flags);
}

void BPF_STRUCT_OPS(locked_stopping, struct task_struct *p, bool runnable)
{
	u64 ran = SCX_SLICE_DFL - p->scx.slice;
	struct shared *s;
	u32 zero = 0;

	s = bpf_map_lookup_elem(&shared, &zero);
	if (!s)
		return;
	bpf_spin_lock(&s->lock);
	s->clock += ran;
	if (ran <= s->longest)
		return;
	s->longest = ran;
	bpf_spin_unlock(&s->lock);
}

SCX_OPS_DEFINE(locked_ops, .enqueue = (void *)locked_enqueue, .stopping = (void *)locked_stopping,
	       .name = "locked");
